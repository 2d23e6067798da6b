package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/whop-license/whop-license/native/sidecar/internal/helper"
)

// A helperCommand holds the arguments of a browser-helper command.
type helperCommand struct {
	extensions []helper.Extension
	browsers   []string
	asJSON     bool
}

// parseHelper reads the arguments of install-helper, uninstall-helper and helper-status.
func parseHelper(command string, args []string, stdout io.Writer) (helperCommand, error) {
	var c helperCommand
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&c.asJSON, "json", false, "")
	flags.Func("extension-id", "", func(id string) error {
		e, err := helper.ParseExtension(id)
		c.extensions = append(c.extensions, e)
		return err
	})
	flags.Func("browser", "", func(browser string) error {
		if !slices.Contains(helper.Browsers, browser) {
			return fmt.Errorf("it must be one of %s", strings.Join(helper.Browsers, ", "))
		}
		c.browsers = append(c.browsers, browser)
		return nil
	})
	switch err := flags.Parse(args); {
	case err == flag.ErrHelp:
		if _, err := io.WriteString(stdout, helperUsage); err != nil {
			return c, err
		}
		return c, flag.ErrHelp
	case err != nil:
		return c, &usageError{command + ": " + err.Error()}
	case flags.NArg() > 0:
		return c, &usageError{fmt.Sprintf("%s: unknown arguments %.200q", command, flags.Args())}
	}
	if c.extensions == nil {
		c.extensions = helper.GenericExtensions()
	}
	return c, nil
}

// browserHelper implements the subcommands install-helper, uninstall-helper and
// helper-status. A failure for one browser is an error, but only after the
// other browsers have been tried.
func browserHelper(command string, args []string, stdout io.Writer) error {
	c, err := parseHelper(command, args, stdout)
	if err != nil {
		return err
	}
	here, err := helper.Here()
	if err != nil {
		return err
	}
	var entries []helper.Entry
	switch command {
	case "install-helper":
		entries, err = here.Install(c.extensions, c.browsers)
	case "uninstall-helper":
		entries = here.Uninstall(c.extensions, c.browsers)
	default:
		entries = here.Status(c.extensions, c.browsers)
	}
	if err != nil {
		return err
	}
	if err := printEntries(entries, c.asJSON, stdout); err != nil {
		return err
	}
	return verdict(command, entries)
}

func printEntries(entries []helper.Entry, asJSON bool, stdout io.Writer) error {
	if asJSON {
		return json.NewEncoder(stdout).Encode(entries)
	}
	if len(entries) == 0 {
		_, err := fmt.Fprintln(stdout, "The helper is not installed in any browser.")
		return err
	}
	for _, e := range entries {
		line := fmt.Sprintf("%-12s %s: %s", e.State, e.Name, e.Manifest)
		if e.Message != "" {
			line += "\n" + strings.Repeat(" ", 13) + e.Message
		}
		if _, err := fmt.Fprintln(stdout, line); err != nil {
			return err
		}
	}
	return nil
}

// verdict returns an error if the command should have made the helper work in a
// browser and didn't. A browser that can't have the helper makes the command
// fail only if no other browser has it.
func verdict(command string, entries []helper.Entry) error {
	good, bad := 0, 0
	for _, e := range entries {
		switch {
		case e.State == helper.Unsupported || e.State == helper.Absent:
		case e.Bad():
			bad++
		default:
			good++
		}
	}
	switch {
	case bad > 0:
		return fmt.Errorf("%s: failed for some browsers: see the lines above", command)
	case good == 0 && command != "uninstall-helper":
		return fmt.Errorf("%s: the helper is not installed in any browser", command)
	}
	return nil
}

const helperUsage = `Usage: ` + name + ` install-helper | uninstall-helper | helper-status
         [--browser B]... [--extension-id ID]... [--json]

Installs this program for the browser extension through which web pages learn
an id of this machine, removes it, or tells where it is installed. It does so
for this user alone, and copies the program, so that this one may be moved.

  --browser B         chrome, chromium, edge, brave or firefox. By default
                      those that this user has started at least once.
  --extension-id ID   an extension of your own. By default the generic one,
                      which gives each site an id of its own.
  --json              print [{"browser", "state", "manifest", …}] instead
`
