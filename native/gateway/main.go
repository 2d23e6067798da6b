// Command whop-license-gateway answers Whop's retired validate_license call
// (API v2) from Whop's Current API. Apps that were written against v2 keep
// working when their base URL points here, and the seller's API key stays here.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"

	"github.com/whop-license/whop-license/shared/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	setMemory()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// badSettings is the exit code for settings or arguments that can't work. Unlike
// after other failures, systemd doesn't start the gateway again. It is EX_CONFIG of
// sysexits.h; 2 would also be a panic's.
const badSettings = 78

// run runs the program and returns its exit code: 0 for a normal exit, 1 for a
// failure, badSettings for invalid settings.
func run(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	if len(args) > 0 {
		if command, ok := commands[args[0]]; ok {
			return command(ctx, args[1:], getenv, out, errOut)
		}
	}
	var s settings
	if _, exit := parse(&s, "", description, args, out, errOut); exit >= 0 {
		return exit
	}
	l, err := s.load(getenv)
	if err != nil {
		fmt.Fprintf(errOut, "whop-license-gateway: %v\n", err)
		return badSettings
	}
	if s.ConfigCheck {
		for _, warning := range s.warnings(l) {
			fmt.Fprintf(errOut, "whop-license-gateway: warning: %s\n", warning)
		}
		fmt.Fprintln(out, "The settings are good.")
		return 0
	}
	log := slog.New(slog.NewJSONHandler(errOut, &slog.HandlerOptions{Level: s.LogLevel}))
	redis.SetLogger(redisLog{log})
	if err := newGateway(&s, l, log).run(ctx, out); err != nil && !errors.Is(err, context.Canceled) {
		log.Error("the gateway ended", "error", err.Error())
		return 1
	}
	return 0
}

// commands maps the first argument to what the program can do besides serving.
var commands = map[string]func(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int{
	"doctor":      runDoctor,
	"init":        runInit,
	"keygen":      runKeygen,
	"license":     runLicense,
	"healthcheck": runHealthcheck,
}

// parse reads flags and the environment into a command's grammar, and returns
// the subcommand that was chosen. The exit code is negative unless the program
// should exit.
func parse(grammar any, command, description string, args []string, out, errOut io.Writer) (chosen string, exit int) {
	exit = -1
	parser, err := kong.New(grammar,
		kong.Name(strings.TrimSpace("whop-license-gateway "+command)),
		kong.Description(description),
		kong.Vars{"version": "whop-license-gateway " + version.Version, "dir": defaultDir},
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return "", 1
	}
	parsed, err := parser.Parse(args)
	switch {
	case exit >= 0: // --help or --version
		return "", exit
	case err != nil:
		fmt.Fprintf(errOut, "whop-license-gateway: %v\n", err)
		return "", badSettings
	}
	return parsed.Command(), exit
}

// runKeygen makes a signing key: keygen [FILE].
func runKeygen(_ context.Context, args []string, _ func(string) string, out, errOut io.Writer) int {
	if len(args) > 1 || len(args) == 1 && strings.HasPrefix(args[0], "-") {
		fmt.Fprintln(errOut, "usage: whop-license-gateway keygen [FILE]\nWrites a new signing key to FILE, which must not exist, and prints its public half; without FILE, prints the key itself.")
		return badSettings
	}
	if err := keygen(strings.Join(args, ""), out); err != nil {
		fmt.Fprintf(errOut, "whop-license-gateway: keygen: %v\n", err)
		return 1
	}
	return 0
}

// redisLog writes the Redis client's messages to the gateway's log.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "redis: "+fmt.Sprintf(format, args...))
}
