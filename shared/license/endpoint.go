package license

import "strings"

// MaxEndpointLength is the greatest length of an endpoint, in bytes.
const MaxEndpointLength = 2048

// ParseEndpoint returns the base URL of a license server without a trailing slash,
// or an [InvalidArgument] error. The URL must be https, or http if the host is a
// loopback address (see [IsLoopback]). It must have no user information, query,
// fragment or dot segments, and no characters that URL parsers read differently.
func ParseEndpoint(raw string) (string, error) {
	const arg = "endpoint"
	if raw == "" {
		return "", Invalid(arg, "is missing; give the URL of your license gateway, such as https://license.example.com")
	}
	if len(raw) > MaxEndpointLength {
		return "", Invalid(arg, longerThan(MaxEndpointLength))
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = lowerASCII(scheme)
	if !ok || scheme != "https" && scheme != "http" {
		return "", Invalid(arg, "is not an https URL")
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	host, port, ok := splitPort(lowerASCII(authority))
	if !ok {
		return "", Invalid(arg, "has no valid host and port")
	}
	if scheme == "http" && !IsLoopback(host) {
		return "", Invalid(arg, "must be https; http is only for a loopback address such as http://127.0.0.1:8080")
	}
	path = strings.TrimRight(path, "/")
	for _, segment := range strings.Split(path, "/") {
		if segment == "." || segment == ".." || strings.Trim(segment, pathBytes) != "" {
			return "", Invalid(arg, "has a path, query or fragment that can't be part of a base URL")
		}
	}
	return scheme + "://" + host + port + path, nil
}

const (
	hexBytes  = "0123456789abcdef"
	hostBytes = "abcdefghijklmnopqrstuvwxyz0123456789-._"
	pathBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@"
)

// splitPort splits an authority into its host and its port with the colon.
func splitPort(authority string) (host, port string, ok bool) {
	host = authority
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", "", false
		}
		host, port = host[:end+1], host[end+1:]
		if !isIPv6(host[1:end]) {
			return "", "", false
		}
	} else {
		if i := strings.IndexByte(host, ':'); i >= 0 {
			host, port = host[:i], host[i:]
		}
		if host == "" || strings.Trim(host, hostBytes) != "" || strings.Contains(host, "..") || host[0] == '.' {
			return "", "", false
		}
		if endsInNumber(host) && !isIPv4(host) {
			return "", "", false
		}
	}
	if port == "" {
		return host, "", true
	}
	n, valid := parseDigits(port[1:])
	if port[0] != ':' || !valid || len(port) > 6 || n < 1 || n > 65535 {
		return "", "", false
	}
	return host, port, true
}

// IsLoopback reports whether host, as it stands in a URL, names this machine: it is
// localhost, [::1], or an address in 127.0.0.0/8 in dotted form.
func IsLoopback(host string) bool {
	return host == "localhost" || host == "[::1]" || strings.HasPrefix(host, "127.") && isIPv4(host)
}

// endsInNumber reports whether URL parsers take host for an IPv4 address, by the
// definition of the URL Standard. They refuse it if it isn't one.
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	label := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(hex, hexBytes) == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// isIPv4 reports whether host is four decimal numbers, the one spelling that all
// parsers read alike. A leading zero is refused because some take it for octal.
func isIPv4(host string) bool {
	octets := strings.Split(host, ".")
	for _, octet := range octets {
		n, ok := parseDigits(octet)
		if !ok || n > 255 || len(octet) > 1 && octet[0] == '0' {
			return false
		}
	}
	return len(octets) == 4
}

// isIPv6 reports whether address is eight groups, some of which "::" may stand for.
func isIPv6(address string) bool {
	n := 0
	before, after, shortened := strings.Cut(address, "::")
	for _, groups := range []string{before, after} {
		if groups == "" {
			continue
		}
		for _, group := range strings.Split(groups, ":") {
			if group == "" || len(group) > 4 || strings.Trim(group, hexBytes) != "" {
				return false
			}
			n++
		}
	}
	return n == 8 && !shortened || n < 8 && shortened
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
