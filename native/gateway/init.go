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

// packagedUnit is where the Debian package installs the unit. If it is there,
// init writes none.
const packagedUnit = "/usr/lib/systemd/system/whop-license-gateway.service"

// initCommand holds the flags of `init`, which asks for the required ones that
// are missing.
type initCommand struct {
	Dir     string `default:"${dir}" type:"path" placeholder:"FOLDER" help:"Where to write the files, which must not exist. Default: ${default}."`
	Product string `placeholder:"PROD_ID" help:"Product whose licenses are accepted."`
	Domain  string `placeholder:"NAME" help:"Domain name at which apps reach the gateway, such as license.example.com."`
	Email   string `placeholder:"ADDRESS" help:"Email address at which the CA may contact you about the certificate."`

	BehindProxy bool `help:"A reverse proxy on this machine terminates TLS. Without this flag, the gateway gets a certificate by itself."`
}

// runInit writes what a gateway under systemd needs.
func runInit(_ context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	return initialize(args, getenv, os.Stdin, out, errOut)
}

func initialize(args []string, getenv func(string) string, in io.Reader, out, errOut io.Writer) int {
	var c initCommand
	if _, exit := parse(&c, "init", "Writes the settings, the API key, a signing key and a systemd unit, and prints what to run next. The API key comes from WHOP_API_KEY or WHOP_API_KEY_FILE; without them, init asks for it.", args, out, errOut); exit >= 0 {
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
		return fail(badSettings, fmt.Errorf("--dir: %q has characters that are special to systemd or a shell; choose a plain name", c.Dir))
	}
	if err := c.absent(); err != nil {
		return fail(badSettings, err)
	}
	key, err := c.ask(&asker{in: in, lines: bufio.NewReader(in), out: out}, getenv)
	if err != nil {
		return fail(badSettings, err)
	}
	public, err := c.write(key)
	if err != nil {
		return fail(1, err)
	}
	c.printNext(out, public)
	return 0
}

func (c *initCommand) file(name string) string { return filepath.Join(c.Dir, name) }

// packaged reports whether the unit from the Debian package uses the files.
func (c *initCommand) packaged() bool {
	_, err := os.Stat(packagedUnit)
	return c.Dir == defaultDir && err == nil
}

// absent returns an error if one of the files exists. A settings file without
// any setting, as the Debian package installs it, counts as absent.
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
			return fmt.Errorf("%s already exists, so nothing was written; give another --dir, or edit the files by hand", c.file(name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// setting matches a line that is neither empty nor a comment.
var setting = regexp.MustCompile(`(?m)^[ \t]*[^\s#]`)

// special matches characters that have a special meaning to systemd, or to a
// shell that reads the settings.
var special = regexp.MustCompile("[\\s\"'`$%&;|<>(){}*?!#~]")

// ask asks for what was not given, checks everything, and returns the API key.
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
			return "", errors.New("an API key is required; create one in Whop's dashboard")
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
		errs = append(errs, fmt.Errorf("--email: %q is not an email address, or has characters that are special to a shell", c.Email))
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
			return os.WriteFile(file, []byte(c.service()), 0o644) // it contains no secret
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

// settings returns the text of the settings file.
func (c *initCommand) settings() string {
	lines := []string{"# The gateway's settings, one per line. The documentation lists them all.", "WHOP_LICENSE_PRODUCT=" + c.Product}
	if c.BehindProxy {
		lines = append(lines, "WHOP_LICENSE_TRUSTED_PROXIES=127.0.0.1,::1")
	} else {
		lines = append(lines, "WHOP_LICENSE_LISTEN=:443", "WHOP_LICENSE_ACME_DOMAIN="+c.Domain, "WHOP_LICENSE_ACME_DIR="+stateDir+"/acme")
		if c.Email != "" {
			lines = append(lines, "WHOP_LICENSE_ACME_EMAIL="+c.Email)
		}
	}
	lines = append(lines, "# The origins of web pages that call the gateway, if any:", "#WHOP_LICENSE_ALLOWED_ORIGIN=https://app.example.com")
	return strings.Join(lines, "\n") + "\n"
}

// service returns the text of the systemd unit for these files.
func (c *initCommand) service() string {
	return strings.NewReplacer(
		defaultDir, c.Dir,
		"#LoadCredential=signing-key:", "LoadCredential=signing-key:",
		"#Environment=WHOP_LICENSE_SIGNING_KEY=", "Environment=WHOP_LICENSE_SIGNING_KEY=",
	).Replace(unit)
}

// publicText returns the public half of a signing key in the form that apps
// take.
func publicText(key *jose.JSONWebKey) string {
	public, _ := key.Public().Key.(ed25519.PublicKey)
	return base64.RawURLEncoding.EncodeToString(public)
}

// printNext prints what to run next, and the lines for the app.
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

Then check that everything works:

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

// thisProgram returns the program's file name in a form that a shell takes.
func thisProgram() string {
	file, err := os.Executable()
	if err != nil || special.MatchString(file) {
		return "whop-license-gateway"
	}
	return file
}

// way describes how apps reach the gateway.
func (c *initCommand) way() string {
	if c.BehindProxy {
		return `Put a reverse proxy with a certificate in front of it. For Caddy:

  ` + c.Domain + ` {
      reverse_proxy 127.0.0.1:8080
  }`
	}
	return `The gateway gets a certificate from Let's Encrypt, and accepts its terms for you,
once ` + c.Domain + ` has a DNS record with this machine's address,
and ports 443 and 80 are open. (If a reverse proxy has the certificate, use
init --behind-proxy instead.)`
}

// asker asks questions and reads a line for each.
type asker struct {
	in    io.Reader
	lines *bufio.Reader
	out   io.Writer
}

// ask returns the answer, or "" if there is none. A hidden answer is not shown
// on a terminal.
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
