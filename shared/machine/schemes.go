package machine

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

const (
	nameDBus     = "/var/lib/dbus/machine-id"
	nameEtc      = "/etc/machine-id"
	nameHost     = "host name"
	nameIOReg    = "ioreg"
	nameRegistry = `HKLM\SOFTWARE\Microsoft\Cryptography\MachineGuid`

	tooLong = "longer than 1 MiB"
)

// nodeMachineID repeats node-machine-id 1.1.12, which runs a shell command and
// cleans its output with JavaScript's string functions.
func (c *Captured) nodeMachineID() (Raw, error) {
	switch c.OS {
	case "linux":
		return c.nodeLinux()
	case "darwin":
		return c.nodeDarwin()
	case "windows":
		return c.nodeWindows()
	}
	return Raw{}, noMachineID(nextOther, "system "+quote(c.OS)+": unknown")
}

// nodeLinux repeats
//
//	( cat /var/lib/dbus/machine-id /etc/machine-id 2> /dev/null || hostname ) | head -n 1 || :
func (c *Captured) nodeLinux() (Raw, error) {
	type part struct {
		source  Source
		name    string
		reading Reading
	}
	parts := []part{{DBus, nameDBus, c.DBus}, {Etc, nameEtc, c.Etc}}
	if c.DBus.Err != "" || c.Etc.Err != "" {
		parts = append(parts, part{HostName, nameHost, c.HostName})
	}

	var line []byte
	var source Source
	var tried []string
	for _, p := range parts {
		text, _, ended := bytes.Cut(p.reading.Bytes, []byte{'\n'})
		line = append(line, text...)
		if length := len(line); length > MaxReading || ended && length == MaxReading {
			return Raw{}, noMachineID(nextLinux, p.name+": "+tooLong)
		}
		if source == "" && stripSpace(decode(text)) != "" {
			source = p.source
		}
		tried = append(tried, p.reading.tried(p.name))
		if ended {
			break
		}
	}
	value := clean(decode(line))
	if value == "" {
		return Raw{}, noMachineID(nextLinux, tried...)
	}
	raw := Raw{Value: value, Source: source}
	if len(tried) == len(parts) && parts[len(parts)-1].source == HostName && source != HostName {
		raw.Warnings = []string{warnRunsOn}
	}
	return raw, nil
}

// nodeDarwin repeats
//
//	result.split('IOPlatformUUID')[1].split('\n')[0].replace(/\=|\s+|\"/ig, '').toLowerCase()
func (c *Captured) nodeDarwin() (Raw, error) {
	if err := c.IOReg.whole(nameIOReg, nextDarwin); err != nil {
		return Raw{}, err
	}
	value := lower(c.platformUUID())
	if value == "" {
		return Raw{}, noMachineID(nextDarwin, c.IOReg.tried(nameIOReg))
	}
	return Raw{Value: value, Source: IOReg}, nil
}

// platformUUID returns what follows the first IOPlatformUUID on its line, without
// blanks, quotes and equal signs, or nothing.
func (c *Captured) platformUUID() string {
	_, rest, _ := bytes.Cut(c.IOReg.Bytes, []byte("IOPlatformUUID"))
	rest, _, _ = bytes.Cut(rest, []byte("IOPlatformUUID"))
	rest, _, _ = bytes.Cut(rest, []byte("\n"))
	// Decode first, so that a character stays broken if a quote splits it.
	return stripSpace(strings.NewReplacer("=", "", `"`, "").Replace(decode(rest)))
}

// nodeWindows repeats, on the output of REG.exe,
//
//	result.toString().split('REG_SZ')[1].replace(/\r+|\n+|\s+/ig, '').toLowerCase()
//
// REG.exe prints the value after the word REG_SZ, so only what comes before a second
// REG_SZ counts.
func (c *Captured) nodeWindows() (Raw, error) {
	if err := c.MachineGUID.whole(nameRegistry, nextWindows); err != nil {
		return Raw{}, err
	}
	text, _, _ := bytes.Cut(c.MachineGUID.Bytes, []byte("REG_SZ"))
	value := clean(decode(text))
	if value == "" {
		return Raw{}, noMachineID(nextWindows, c.MachineGUID.tried(nameRegistry))
	}
	return Raw{Value: value, Source: Registry}, nil
}

// pythonPlatformNode repeats CPython's platform.node(), for which the name "unknown" is
// no name, and encode(), which fails for a name that isn't UTF-8.
func (c *Captured) pythonPlatformNode() (Raw, error) {
	if err := c.HostName.whole(nameHost, nextHost); err != nil {
		return Raw{}, err
	}
	value := string(c.HostName.Bytes)
	switch {
	case value == "":
		return Raw{}, noMachineID(nextHost, c.HostName.tried(nameHost))
	case value == "unknown":
		return Raw{}, noMachineID(nextHost, nameHost+`: "unknown", which Python takes for none`)
	case !utf8.ValidString(value):
		return Raw{}, noMachineID(nextHost, nameHost+": not UTF-8")
	}
	return Raw{Value: value, Source: HostName}, nil
}

// machineID repeats ID of github.com/denisbrodbeck/machineid 1.0.1, which trims what Go
// takes for white space and keeps upper case.
func (c *Captured) machineID() (Raw, error) {
	switch c.OS {
	case "linux":
		return c.machineIDLinux()
	case "darwin":
		return c.machineIDDarwin()
	case "windows":
		if err := c.MachineGUID.whole(nameRegistry, nextWindows); err != nil {
			return Raw{}, err
		}
		if value := string(c.MachineGUID.Bytes); strings.TrimSpace(value) != "" {
			return Raw{Value: value, Source: Registry}, nil
		}
		return Raw{}, noMachineID(nextWindows, c.MachineGUID.tried(nameRegistry))
	}
	return Raw{}, noMachineID(nextOther, "system "+quote(c.OS)+": unknown")
}

// machineIDLinux goes on to /etc if the D-Bus file is empty. The original would return
// an empty id.
func (c *Captured) machineIDLinux() (Raw, error) {
	var tried []string
	for _, file := range []struct {
		source  Source
		name    string
		reading Reading
	}{
		{DBus, nameDBus, c.DBus},
		{Etc, nameEtc, c.Etc},
	} {
		if file.reading.Err == "" {
			if len(file.reading.Bytes) > MaxReading {
				return Raw{}, noMachineID(nextLinux, append(tried, file.name+": "+tooLong)...)
			}
			if value := strings.TrimSpace(string(file.reading.Bytes)); value != "" {
				return Raw{Value: value, Source: file.source}, nil
			}
		}
		tried = append(tried, file.reading.tried(file.name))
	}
	return Raw{}, noMachineID(nextLinux, tried...)
}

// machineIDDarwin reads the spelling that the original reads, which is the one that
// ioreg prints today, and any other as the default scheme does. The original would
// return an error for most of those, and keep the quote before a carriage return.
func (c *Captured) machineIDDarwin() (Raw, error) {
	if err := c.IOReg.whole(nameIOReg, nextDarwin); err != nil {
		return Raw{}, err
	}
	for line := range strings.SplitSeq(string(c.IOReg.Bytes), "\n") {
		if !strings.Contains(line, "IOPlatformUUID") {
			continue
		}
		parts := strings.SplitAfter(strings.TrimSuffix(line, "\r"), `" = "`)
		if len(parts) != 2 {
			continue
		}
		if value := strings.TrimSpace(strings.TrimRight(parts[1], `"`)); value != "" {
			return Raw{Value: value, Source: IOReg}, nil
		}
		break
	}
	if value := c.platformUUID(); value != "" {
		return Raw{Value: value, Source: IOReg}, nil
	}
	return Raw{}, noMachineID(nextDarwin, c.IOReg.tried(nameIOReg))
}

// whole returns an error unless the source was read to its end within bounds.
func (r Reading) whole(name, next string) error {
	switch {
	case r.Err != "":
		return noMachineID(next, r.tried(name))
	case len(r.Bytes) > MaxReading:
		return noMachineID(next, name+": "+tooLong)
	}
	return nil
}
