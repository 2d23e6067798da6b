// Whop-license-sidecar tells the id of the machine that it runs on: to a program over
// standard input and output, to a browser extension over Chrome's native messaging, and
// to a shell. web/docs/sidecar.md describes all three.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/whop-license/whop-license/shared/version"
)

const name = "whop-license-sidecar"

const usage = `Usage:
  ` + name + `
        Respond to JSON-RPC 2.0 requests on standard input until it ends. Each
        message is a 32-bit little-endian length and that many bytes of JSON.
  ` + name + ` machine-id [--scheme S] [--app-id A] [--json]
        Print this machine's id.
  ` + name + ` --help | --version
`

// Exit codes of the program.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	// Otherwise writing to a reader that is gone kills the process before it can say
	// why.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := newSystem()
	var err error
	switch {
	case len(args) == 0 || isNativeMessaging(args):
		err = serve(stdin, stdout, s.capture)
	case args[0] == "machine-id":
		err = machineID(args[1:], stdout, stderr, s.capture)
	case len(args) == 1 && (args[0] == "--help" || args[0] == "-h"):
		_, err = io.WriteString(stdout, usage)
	case len(args) == 1 && args[0] == "--version":
		_, err = fmt.Fprintln(stdout, name, version.Version)
	default:
		err = &usageError{fmt.Sprintf("unknown arguments %.200q", args)}
	}

	var wrong *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "%s: %v\n\n%s", name, err, usage)
		return exitUsage
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return exitFailure
}

// A usageError says what is wrong with the command line.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

// isNativeMessaging reports whether a browser started this process. Chrome and its
// relatives pass the extension's origin and, on Windows, a window's handle.
func isNativeMessaging(args []string) bool {
	origins := 0
	for _, arg := range args {
		switch {
		case strings.HasPrefix(arg, "chrome-extension://"):
			origins++
		case strings.HasPrefix(arg, "--parent-window="):
		default:
			return false
		}
	}
	return origins == 1
}
