// Whop-license-sidecar reports the id of the machine that it runs on: to a
// program over standard input and output, to a browser extension over Chrome's
// native messaging, and to a shell. web/docs/sidecar.md describes all three.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
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
  ` + name + ` install-helper | uninstall-helper | helper-status
         [--browser B]... [--extension-id ID]... [--json]
        Install the program for a browser extension, remove it, or show where it is
        installed.
  ` + name + ` --help | --version
`

// Exit codes of the program.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	// Otherwise writing to a closed pipe kills the process before it can say why.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := newSystem()
	var err error
	switch {
	case len(args) == 0:
		err = service{capture: s.capture}.serve(stdin, stdout)
	case startedByBrowser(args):
		err = serveExtension(args, stdin, stdout, s.capture)
	case args[0] == "machine-id":
		err = machineID(args[1:], stdout, stderr, s.capture)
	case args[0] == "install-helper", args[0] == "uninstall-helper", args[0] == "helper-status":
		err = browserHelper(args[0], args[1:], stdout)
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
