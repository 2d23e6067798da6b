package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/term"
)

// unit is the systemd unit as it is in the repository.
//
//go:embed whop-license-gateway.service
var unit string

const (
	// defaultDir is where the unit looks for its files.
	defaultDir = "/etc/whop-license-gateway"
	// stateDir is where the unit's StateDirectory is.
	stateDir = "/var/lib/whop-license-gateway"
)

// packagedUnit is where Debian's package puts the unit, which is then not written
// again.
const packagedUnit = "/usr/lib/systemd/system/whop-license-gateway.service"

// initCommand is what `init` takes. What is not given is asked for.
type initCommand struct {
	Dir     string `default:"${dir}" type:"path" placeholder:"FOLDER" help:"Where to write the files, which must not exist. Default: ${default}."`
	Product string `placeholder:"PROD_ID" help:"Product whose licenses are accepted."`
	Domain  string `placeholder:"NAME" help:"Name under which apps reach the gateway, such as license.example.com."`
	Email   string `placeholder:"ADDRESS" help:"Where the CA may write to about the domain's certificate."`

	BehindProxy bool `help:"A reverse proxy on this machine has the certificate. Without it, the gateway gets one by itself."`
}

// runInit writes what a gateway under systemd needs.
func runInit(_ context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	return initialize(args, getenv, os.Stdin, out, errOut)
}

func initialize(args []string, getenv func(string) string, in io.Reader, out, errOut io.Writer) int {
	var c initCommand
	if _, exit := parse(&c, "init", "Writes the settings, the API key, a signing key and a systemd unit, and prints what to run then. The API key comes from WHOP_API_KEY or WHOP_API_KEY_FILE, and else is asked for.", args, out, errOut); exit >= 0 {
		return exit
	}
	fail := func(code int, err error) int {
		if errors.Is(err, fs.ErrPermission) {
			err = fmt.Errorf("%w; run init as root, or give another --dir", err)
		}
		fmt.Fprintf(errOut, "whop-license-gateway: init: %v\n", err)
		return code
	}
	if special.MatchString(c.Dir) {
		return fail(2, fmt.Errorf("--dir: %q has characters that mean something to systemd or a shell; choose a plain name", c.Dir))
	}
	if err := c.absent(); err != nil {
		return fail(2, err)
	}
	key, err := c.ask(&asker{in: in, lines: bufio.NewReader(in), out: out}, getenv)
	if err != nil {
		return fail(2, err)
	}
	public, err := c.write(key)
	if err != nil {
		return fail(1, err)
	}
	c.printNext(out, public)
	return 0
}

func (c *initCommand) file(name string) string { return filepath.Join(c.Dir, name) }

// packaged reports whether the unit of Debian's package uses the files.
func (c *initCommand) packaged() bool {
	_, err := os.Stat(packagedUnit)
	return c.Dir == defaultDir && err == nil
}

// absent returns an error if one of the files exists. Settings in which nothing is
// set, as Debian's package brings them, count as absent.
func (c *initCommand) absent() error {
	names := []string{"settings", "api-key", "signing-key.json", "whop-license-gateway.service"}
	text, err := os.ReadFile(c.file("settings"))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return err
	case err == nil && !setting.Match(text):
		names = names[1:]
	}
	for _, name := range names {
		if _, err := os.Lstat(c.file(name)); err == nil {
			return fmt.Errorf("%s exists; nothing was written: give another --dir, or change the files by hand", c.file(name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// setting is a line that is not empty and no comment.
var setting = regexp.MustCompile(`(?m)^[ \t]*[^\s#]`)

// special are characters that systemd, or a shell that reads the settings, would
// not take for themselves.
var special = regexp.MustCompile("[\\s\"'`$%&;|<>(){}*?!#~]")

// ask completes what was not given, checks it, and returns the API key.
func (c *initCommand) ask(a *asker, getenv func(string) string) (key string, err error) {
	if key, err = secret(getenv, "WHOP_API_KEY"); err != nil {
		return "", err
	}
	if key == "" {
		text := a.ask("API key (with member:basic:read, member:email:read and member:manage): ", true)
		if key, err = secret(func(name string) string { return map[string]string{"WHOP_API_KEY": text}[name] }, "WHOP_API_KEY"); err != nil {
			return "", err
		}
		if key == "" {
			return "", errors.New("an API key is needed; make one in Whop's dashboard")
		}
	}
	if c.Product == "" {
		c.Product = a.ask("Product (prod_…): ", false)
	}
	if c.Domain == "" {
		c.Domain = a.ask("Domain of the gateway (license.example.com): ", false)
	}
	var errs []error
	s := settings{EntitledStatus: []string{"active"}, MaxMachines: 1}
	if c.Product != "" {
		s.Product = []string{c.Product}
	}
	s.checkLicenses(func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) })
	if wrong := wrongDomain(c.Domain); wrong != "" {
		errs = append(errs, fmt.Errorf("--domain: %s", wrong))
	}
	if c.Email != "" && (!isEmail(c.Email) || special.MatchString(c.Email)) {
		errs = append(errs, fmt.Errorf("--email: %q is not an email address, or has characters that mean something to a shell", c.Email))
	}
	return key, errors.Join(errs...)
}

// write writes all files, or none, and returns the public key.
func (c *initCommand) write(apiKey string) (public string, err error) {
	if err := os.MkdirAll(c.Dir, 0o750); err != nil {
		return "", err
	}
	if err := os.Remove(c.file("settings")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var made []string
	put := func(name string, write func(file string) error) {
		if err != nil {
			return
		}
		if err = write(c.file(name)); !errors.Is(err, fs.ErrExist) {
			made = append(made, c.file(name))
		}
	}
	private := func(text string) func(string) error {
		return func(file string) error { return writePrivate(file, []byte(text)) }
	}
	put("signing-key.json", func(file string) error { return keygen(file, io.Discard) })
	put("settings", private(c.settings()))
	put("api-key", private(apiKey+"\n"))
	if !c.packaged() {
		put("whop-license-gateway.service", func(file string) error {
			return os.WriteFile(file, []byte(c.service()), 0o644) // nothing secret is in it
		})
	}
	var key *jose.JSONWebKey
	if err == nil {
		key, err = readSigningKey(c.file("signing-key.json"))
	}
	if err != nil {
		for _, file := range made { // so that init can be run again
			_ = os.Remove(file)
		}
		return "", err
	}
	return publicText(key), nil
}

// settings is the file of settings.
func (c *initCommand) settings() string {
	lines := []string{"# The gateway's settings: a line each, as its documentation lists them.", "WHOP_LICENSE_PRODUCT=" + c.Product}
	if c.BehindProxy {
		lines = append(lines, "WHOP_LICENSE_TRUSTED_PROXIES=127.0.0.1,::1")
	} else {
		lines = append(lines, "WHOP_LICENSE_LISTEN=:443", "WHOP_LICENSE_ACME_DOMAIN="+c.Domain, "WHOP_LICENSE_ACME_DIR="+stateDir+"/acme")
		if c.Email != "" {
			lines = append(lines, "WHOP_LICENSE_ACME_EMAIL="+c.Email)
		}
	}
	lines = append(lines, "# The origins of pages that ask the gateway, if there are any:", "#WHOP_LICENSE_ALLOWED_ORIGIN=https://app.example.com")
	return strings.Join(lines, "\n") + "\n"
}

// service is the systemd unit for these files.
func (c *initCommand) service() string {
	return strings.NewReplacer(
		defaultDir, c.Dir,
		"#LoadCredential=signing-key:", "LoadCredential=signing-key:",
		"#Environment=WHOP_LICENSE_SIGNING_KEY=", "Environment=WHOP_LICENSE_SIGNING_KEY=",
	).Replace(unit)
}

// publicText is the public half of a signing key, as apps take it.
func publicText(key *jose.JSONWebKey) string {
	public, _ := key.Public().Key.(ed25519.PublicKey)
	return base64.RawURLEncoding.EncodeToString(public)
}

// printNext says what to run, and what the app needs.
func (c *initCommand) printNext(out io.Writer, public string) {
	files, install := "settings, api-key, signing-key.json and whop-license-gateway.service", fmt.Sprintf(`  install -m 0755 %s /usr/local/bin/whop-license-gateway
  install -m 0644 %s/whop-license-gateway.service /etc/systemd/system/
  systemctl daemon-reload
  systemctl enable --now whop-license-gateway`, thisProgram(), c.Dir)
	if c.packaged() {
		files, install = "settings, api-key and signing-key.json", "  systemctl restart whop-license-gateway"
	}
	fmt.Fprintf(out, `Wrote %[5]s into %[1]s.
Keep a copy of signing-key.json where you keep secrets.

Next, as root:

%[6]s

%[4]s

Then see whether all is well:

  set -a; . %[1]s/settings; set +a
  export WHOP_API_KEY_FILE=%[1]s/api-key WHOP_LICENSE_SIGNING_KEY=%[1]s/signing-key.json
  whop-license-gateway doctor --public-url https://%[2]s

In your app:

  const { validateLicense } = await loadValidator({
    endpoint: "https://%[2]s",
    publicKey: "%[3]s",
  });
`, c.Dir, c.Domain, public, c.way(), files, install)
}

// thisProgram is the program's file, as a shell takes it.
func thisProgram() string {
	file, err := os.Executable()
	if err != nil || special.MatchString(file) {
		return "whop-license-gateway"
	}
	return file
}

// way says how apps reach the gateway.
func (c *initCommand) way() string {
	if c.BehindProxy {
		return `A reverse proxy with a certificate leads to it. For Caddy:

  ` + c.Domain + ` {
      reverse_proxy 127.0.0.1:8080
  }`
	}
	return `It gets a certificate from Let's Encrypt, whose terms it accepts for you, once ` + c.Domain + `
has a DNS record with this machine's address, and ports 443 and 80 reach it.
(Where a reverse proxy has the certificate, init --behind-proxy.)`
}

// asker asks questions and reads a line for each.
type asker struct {
	in    io.Reader
	lines *bufio.Reader
	out   io.Writer
}

// ask returns the answer, or nothing where there is none. What is hidden does not
// show on a terminal.
func (a *asker) ask(question string, hidden bool) string {
	fmt.Fprint(a.out, question)
	if f, ok := a.in.(*os.File); ok && hidden && term.IsTerminal(int(f.Fd())) {
		answer, _ := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.out)
		return string(answer)
	}
	answer, _ := a.lines.ReadString('\n')
	return strings.TrimSpace(answer)
}
