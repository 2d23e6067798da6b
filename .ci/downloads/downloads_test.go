package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// released is the folder in which `make test-downloads` has made what a release
// has, for the platforms that TARGETS names.
const released = "built"

func targets(t *testing.T) []platform {
	t.Helper()
	found, err := platformsOf(strings.Fields(os.Getenv("TARGETS")))
	require.NoError(t, err)
	return found
}

// sums are the checksums of a folder's files.
func sums(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	all := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(data))
	}
	return all
}

// The same source gives the same bytes, whenever and wherever it is built.
func TestSameBytes(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	require.NoError(t, makeAll(folder, targets(t)))
	published := sums(t, released)
	for name, sum := range sums(t, folder) {
		assert.Equal(t, published[name], sum, name)
		delete(published, name)
	}
	assert.Empty(t, published)
}

func TestChecksums(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(released, "SHA256SUMS"))
	require.NoError(t, err)
	published := sums(t, released)
	delete(published, "SHA256SUMS")
	for line := range strings.Lines(string(text)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		assert.Equal(t, published[name], sum, name)
		delete(published, name)
	}
	assert.Empty(t, published)
}

// files reads an archive's files, all of which are in one folder and as old as each
// other; owner and times are no one's.
func filesOf(t *testing.T, name string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(released, name))
	require.NoError(t, err)
	files := map[string][]byte{}
	if folder, ok := strings.CutSuffix(name, ".zip"); ok {
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		require.NoError(t, err)
		for _, f := range archive.File {
			content, err := archive.Open(f.Name)
			require.NoError(t, err)
			files[strings.TrimPrefix(f.Name, folder+"/")], err = io.ReadAll(content)
			require.NoError(t, err)
			assert.True(t, f.Modified.Equal(epoch), f.Name)
		}
		return files
	}
	folder := strings.TrimSuffix(name, ".tar.gz")
	unzipped, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		files[strings.TrimPrefix(header.Name, folder+"/")], err = io.ReadAll(archive)
		require.NoError(t, err)
		assert.Zero(t, header.Uid+header.Gid, header.Name)
		assert.Empty(t, header.Uname+header.Gname, header.Name)
		assert.True(t, header.ModTime.Equal(epoch), header.Name)
		assert.Equal(t, strings.HasPrefix(filepath.Base(header.Name), "whop-license-") && !strings.HasSuffix(header.Name, ".service"), header.Mode == 0o755, header.Name)
	}
}

func TestArchives(t *testing.T) {
	version, err := readVersion("../..")
	require.NoError(t, err)
	for _, p := range programs {
		for _, target := range targets(t) {
			name := fmt.Sprintf("%s-%s-%s.tar.gz", p.name, version, target.name)
			if target.goos == "windows" {
				name = strings.Replace(name, ".tar.gz", ".zip", 1)
			}
			t.Run(name, func(t *testing.T) {
				files := filesOf(t, name)
				want := []string{target.fileOf(p.name), "LICENSE", "README.md", "THIRD-PARTY-NOTICES"}
				if p.debian {
					want = append(want, "settings")
				}
				if p.debian && target.goos == "linux" {
					want = append(want, "whop-license-gateway.service")
				}
				var got []string
				for file := range files {
					got = append(got, file)
				}
				assert.ElementsMatch(t, want, got)
				requireNotices(t, files[target.fileOf(p.name)], string(files["THIRD-PARTY-NOTICES"]), target)
				if target.goos == runtime.GOOS && target.goarch == runtime.GOARCH {
					requireRuns(t, files[p.name], p.name+" "+version)
				}
			})
		}
	}
}

// requireNotices checks that each module that is linked into a program is named,
// and that it is a program for the platform.
func requireNotices(t *testing.T, data []byte, notices string, target platform) {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(data))
	require.NoError(t, err)
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	assert.Equal(t, target.goos+"/"+target.goarch, settings["GOOS"]+"/"+settings["GOARCH"])
	assert.NotEmpty(t, info.Deps)
	for _, m := range info.Deps {
		assert.Contains(t, notices, "\n"+m.Path+"@"+m.Version+"\n")
	}
	assert.Contains(t, notices, "\nThe Go standard library and runtime, "+strings.TrimPrefix(info.GoVersion, "go")+"\n")
}

func requireRuns(t *testing.T, data []byte, version string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(file, data, 0o755))
	out, err := exec.Command(file, "--version").Output()
	require.NoError(t, err)
	assert.Equal(t, version, strings.TrimSpace(string(out)))
}

// A license that is on no list stops the release.
func TestLicensesAreKnown(t *testing.T) {
	gpl := []byte("SPDX-License-Identifier: GPL-3.0-only\n")
	m := module{path: "example.com/copyleft", files: []licenseFile{{"LICENSE", gpl}}}
	assert.ErrorContains(t, m.classify(), "example.com/copyleft: LICENSE is ")
	m = module{path: "example.com/odd", files: []licenseFile{{"LICENSE", []byte("Do what you like.")}}}
	assert.ErrorContains(t, m.classify(), "is no license that is known")
	m = module{path: "example.com/none", files: []licenseFile{{"NOTICE", []byte("A notice.")}}}
	assert.ErrorContains(t, m.classify(), "has no file that states its license")
}

// The bills are as CycloneDX's own schema wants them.
func TestBills(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	require.NoError(t, err)
	schemas := filepath.Join(strings.TrimSpace(string(out)), "schema")
	compiler := jsonschema.NewCompiler()
	for id, file := range map[string]string{
		"http://cyclonedx.org/schema/bom-1.6.schema.json":  "bom-1.6.schema.json",
		"http://cyclonedx.org/schema/spdx.schema.json":     "spdx.schema.json",
		"http://cyclonedx.org/schema/jsf-0.82.schema.json": "jsf-0.82.schemax.json",
	} {
		f, err := os.Open(filepath.Join(schemas, file))
		require.NoError(t, err)
		document, err := jsonschema.UnmarshalJSON(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.NoError(t, compiler.AddResource(id, document))
	}
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	require.NoError(t, err)
	found, err := filepath.Glob(filepath.Join(released, "*.cdx.json"))
	require.NoError(t, err)
	require.Len(t, found, 3)
	for _, file := range found {
		f, err := os.Open(file)
		require.NoError(t, err)
		bill, err := jsonschema.UnmarshalJSON(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		assert.NoError(t, schema.Validate(bill), file)
		assert.NotEmpty(t, bill.(map[string]any)["components"], file)
	}
}
