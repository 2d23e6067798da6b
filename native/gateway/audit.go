package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/whop-license/whop-license/native/gateway/internal/binding"
	"github.com/whop-license/whop-license/native/gateway/internal/check"
	"github.com/whop-license/whop-license/shared/license"
)

// auditLog appends a line of JSON to a file for each binding, reset and release.
// It opens the file for each line, so that the file can be moved away at any time.
type auditLog struct {
	file string
	log  *slog.Logger // gets the lines that can't be written to the file
}

func newAudit(file string, log *slog.Logger) check.Audit {
	if file == "" {
		return check.NoAudit{}
	}
	return auditLog{file, log}
}

// openAudit opens a file to append to. Only its owner may read a new one, who is
// the owner of its folder: what root makes, as the seller with a command, the
// gateway could not write to.
func openAudit(file string) (*os.File, error) {
	const how = os.O_APPEND | os.O_CREATE | os.O_WRONLY
	f, err := os.OpenFile(file, how|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(file, how, 0o600)
	}
	if err == nil && os.Geteuid() == 0 {
		err = ownAsFolder(f)
	}
	return f, err
}

func checkAudit(file string) error {
	f, err := openAudit(file)
	if err != nil {
		return fmt.Errorf("--audit-log: %w", err)
	}
	return f.Close()
}

// Bound records that a license was bound to a machine.
func (a auditLog) Bound(key, membership string, place int, machine binding.Metadata) {
	a.write("bound", "key", license.ShortenKey(key), "membership", membership, "place", place, "machine", machine.Shortened(license.ShortenKey))
}

// Freed records that the seller freed one place of a license, or all.
func (a auditLog) Freed(membership string, place int) {
	if place == binding.AllPlaces {
		a.write("reset", "membership", membership)
		return
	}
	a.write("released", "membership", membership, "place", place)
}

func (a auditLog) write(event string, args ...any) {
	f, err := openAudit(a.file)
	if err == nil {
		line := &onceWriter{f: f}
		shape := slog.HandlerOptions{ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
			switch attr.Key {
			case slog.LevelKey:
				return slog.Attr{}
			case slog.MessageKey:
				attr.Key = "event"
			}
			return attr
		}}
		slog.New(slog.NewJSONHandler(line, &shape)).Info(event, args...)
		err = errors.Join(line.err, f.Close())
	}
	if err != nil {
		a.log.Error("a line could not be written to --audit-log", append([]any{"event", event, "error", err.Error()}, args...)...)
	}
}

// onceWriter keeps the error of a write, which [slog.Logger] drops.
type onceWriter struct {
	f   *os.File
	err error
}

func (w *onceWriter) Write(b []byte) (int, error) {
	if endsWithinLine(w.f) {
		b = append([]byte{'\n'}, b...)
	}
	_, w.err = w.f.Write(b)
	return len(b), w.err
}

// endsWithinLine reports whether a file's last line has no end, as a full disk
// leaves it. It is opened again for that, as the gateway may be allowed to append
// but not to read, and as only a regular file has an end.
func endsWithinLine(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return false
	}
	reader, err := os.Open(f.Name())
	if err != nil {
		return false
	}
	defer reader.Close()
	last := []byte{'\n'}
	_, err = reader.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}
