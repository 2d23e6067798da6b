package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"

	"github.com/whop-license/whop-license/shared/machine"
)

// machineID is the subcommand machine-id. It prints the machine id, or with --json the
// result of the method machineId.
func machineID(args []string, stdout, stderr io.Writer, capture capturer) error {
	flags := flag.NewFlagSet("machine-id", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	schemeName := flags.String("scheme", string(machine.DefaultScheme), "")
	appID := flags.String("app-id", "", "")
	asJSON := flags.Bool("json", false, "")
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		if _, err := io.WriteString(stdout, machineIDUsage); err != nil {
			return err
		}
		return flag.ErrHelp
	case err != nil:
		return &usageError{"machine-id: " + err.Error()}
	case flags.NArg() > 0:
		return &usageError{fmt.Sprintf("machine-id: unknown arguments %.200q", flags.Args())}
	}

	scheme, err := machine.ParseScheme(*schemeName)
	if err != nil {
		return &usageError{"machine-id: " + err.Error()}
	}
	if scheme == machine.AppScoped && *appID == "" {
		return &usageError{"machine-id: the scheme app-scoped needs --app-id"}
	}
	captured := capture(scheme)
	id, err := captured.ID(scheme, *appID)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(stdout).Encode(id)
	}
	for _, warning := range id.Warnings {
		fmt.Fprintf(stderr, "%s: warning: %s\n", name, warning)
	}
	_, err = fmt.Fprintln(stdout, id.ID)
	return err
}

const machineIDUsage = `Usage: ` + name + ` machine-id [--scheme S] [--app-id A] [--json]

Prints this machine's id and a newline; warnings go to standard error.

  --scheme S   node-machine-id (default): as the npm package node-machine-id
               python-platform-node: SHA-256 of Python's platform.node()
               app-scoped: an id that only the app with that app id sees
  --app-id A   the app's id, for app-scoped
  --json       print {"id", "scheme", "source", "warnings"} instead
`
