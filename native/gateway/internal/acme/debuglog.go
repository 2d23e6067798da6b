package acme

import (
	"context"
	"log/slog"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// debugLogger returns a logger that passes on the exchange between the gateway
// and the CA, at debug level. Certmagic's other messages contain clients'
// addresses.
func debugLogger(log *slog.Logger) *zap.Logger { return zap.New(core{log: log}) }

// core writes zap's log entries to a [slog.Logger].
type core struct {
	log  *slog.Logger
	with []zapcore.Field
}

func (c core) Enabled(zapcore.Level) bool {
	return c.log.Enabled(context.Background(), slog.LevelDebug)
}

func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{c.log, append(append([]zapcore.Field(nil), c.with...), fields...)}
}

func (c core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && strings.HasSuffix(e.LoggerName, "acme_client") {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	all := zapcore.NewMapObjectEncoder()
	for _, f := range append(append([]zapcore.Field(nil), c.with...), fields...) {
		f.AddTo(all)
	}
	c.log.Debug("acme: "+e.Message, "details", all.Fields)
	return nil
}

func (c core) Sync() error { return nil }
