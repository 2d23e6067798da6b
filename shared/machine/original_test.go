//go:build unix

package machine_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/whop-license/whop-license/shared/machine"
)

// expose is the function of that name in node-machine-id 1.1.12 (MIT), and
// Node's reading of the command's output before it. It answers each
// [platform, base64 of the output] with the id, or null where the original
// throws.
const expose = `
const answers = JSON.parse(require('fs').readFileSync(0, 'utf8')).map(([platform, output]) => {
	const result = Buffer.from(output ?? '', 'base64').toString();
	try {
		switch (platform) {
		case 'darwin':
			return result.split('IOPlatformUUID')[1].split('\n')[0].replace(/\=|\s+|\"/ig, '').toLowerCase();
		case 'windows':
			return result.toString().split('REG_SZ')[1].replace(/\r+|\n+|\s+/ig, '').toLowerCase();
		case 'linux':
			return result.toString().replace(/\r+|\n+|\s+/ig, '').toLowerCase();
		}
	} catch { return null; }
});
process.stdout.write(JSON.stringify(answers));`

type question struct {
	platform string
	output   []byte
}

func (q question) MarshalJSON() ([]byte, error) { return json.Marshal([]any{q.platform, q.output}) }

func askNode(t *testing.T, script string, input any, answer any) {
	t.Helper()
	in, err := json.Marshal(input)
	require.NoError(t, err)
	cmd := exec.Command("node", "-e", script)
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	require.NoError(t, err, "this test needs node")
	require.NoError(t, json.Unmarshal(out, answer))
}

// shell runs node-machine-id's command line for Linux on files of its own.
func shell(t *testing.T, c machine.Captured) []byte {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, r machine.Reading) {
		if r.Err == "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), r.Bytes, 0o600))
		}
	}
	put("dbus", c.DBus)
	put("etc", c.Etc)
	put("host", machine.Reading{Bytes: append(c.HostName.Bytes[:len(c.HostName.Bytes):len(c.HostName.Bytes)], '\n'), Err: c.HostName.Err})
	cmd := exec.Command("sh", "-c", `( cat dbus etc 2> /dev/null || cat host 2> /dev/null ) | head -n 1 || :`)
	cmd.Dir = dir
	out, err := cmd.Output()
	require.NoError(t, err)
	return out
}

// What the original does is asked of the original: its command line in a real
// shell, its JavaScript in a real Node. The captures are the vectors', and
// some thrown together from pieces that matter.
func TestEqualsNodeMachineID(t *testing.T) {
	var captures []machine.Captured
	for _, v := range vectors(t) {
		c := v.captured()
		partial := c.DBus.Err != "" && len(c.DBus.Bytes) > 0
		failed := c.IOReg.Err != "" || c.MachineGUID.Err != ""
		if v.OS != "plan9" && !partial && !failed {
			captures = append(captures, c)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{
		"3d1219c7", "ABCDEF", "\n", "\n", "\r", " ", "\t", "\x00", "=", `"`, "IOPlatformUUID", "REG_SZ", "İ", "Σ", "σ", ".", "é", "É",
		"\ufeff", "\u0085", "\u00a0", "\u2028", "\xff", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0", "\x80", "\xc0", "\xf4\x90",
		"\xe2=\x82\xac", "\xe2\x82\"\xac", "\xe2\x82 \xac",
	}
	text := func() (r machine.Reading) {
		if random.IntN(4) == 0 {
			return machine.Reading{Err: "no such file or directory"}
		}
		for range random.IntN(6) {
			r.Bytes = append(r.Bytes, pieces[random.IntN(len(pieces))]...)
		}
		return r
	}
	for range 150 {
		captures = append(captures, machine.Captured{OS: "linux", DBus: text(), Etc: text(), HostName: text()})
	}
	for range 1000 {
		r := text()
		r.Err = ""
		captures = append(captures,
			machine.Captured{OS: "darwin", IOReg: machine.Reading{Bytes: append(append(text().Bytes, "IOPlatformUUID"...), r.Bytes...)}},
			machine.Captured{OS: "windows", MachineGUID: r})
	}

	questions := make([]question, len(captures))
	for i, c := range captures {
		questions[i].platform = c.OS
		switch c.OS {
		case "linux":
			questions[i].output = shell(t, c)
		case "darwin":
			questions[i].output = c.IOReg.Bytes
		case "windows":
			questions[i].output = append(append([]byte("\r\nHKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Cryptography\r\n    MachineGuid    REG_SZ    "),
				c.MachineGUID.Bytes...), "\r\n\r\n"...)
		}
	}
	var answers []*string
	askNode(t, expose, questions, &answers)
	require.Len(t, answers, len(captures))

	answered := 0
	for i, c := range captures {
		raw, err := c.Raw(machine.NodeMachineID)
		if answers[i] == nil || *answers[i] == "" {
			assert.Error(t, err, "%#v", c)
			continue
		}
		answered++
		if assert.NoError(t, err, "%#v", c) {
			assert.Equal(t, *answers[i], raw.Value, "%#v", c)
		}
	}
	assert.Greater(t, answered, len(captures)/4)
}

// Each character alone, and each beside a sigma, whose lower case depends on
// what stands around it.
func TestEqualsToLowerCaseAndWhiteSpace(t *testing.T) {
	const script = `
const answers = JSON.parse(require('fs').readFileSync(0, 'utf8')).map(c => {
	c = String.fromCodePoint(c);
	return [c, 'a' + c + '\u03a3', c + '\u03a3', 'a\u03a3' + c + 'b', 'a\u03a3' + c].map(s => s.replace(/\s/g, '').toLowerCase());
});
process.stdout.write(JSON.stringify(answers));`
	var runes []rune
	for r := rune(0); r <= unicode.MaxRune; r++ {
		known := unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf)
		// An unassigned character can have got a case in a Unicode later than
		// Go's; U+0295 and U+1171E changed in one. Ideographs are all alike.
		if known && r != 0x295 && r != 0x1171E && r != '\n' && (!unicode.Is(unicode.Lo, r) || r%64 == 0) {
			runes = append(runes, r)
		}
	}
	require.Greater(t, len(runes), 10_000)
	var answers [][5]string
	askNode(t, script, runes, &answers)
	require.Len(t, answers, len(runes))
	for i, r := range runes {
		c := string(r)
		for j, s := range []string{c, "a" + c + "Σ", c + "Σ", "aΣ" + c + "b", "aΣ" + c} {
			// The comma is there for text that is white space alone.
			capture := machine.Captured{OS: "linux", DBus: machine.Reading{Bytes: []byte("," + s)}}
			raw, err := capture.Raw(machine.NodeMachineID)
			require.NoError(t, err)
			if want := "," + answers[i][j]; raw.Value != want {
				t.Errorf("U+%04X in %q: %q, JavaScript says %q", r, s, raw.Value, want)
			}
		}
	}
}
