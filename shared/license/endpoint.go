package license

import "strings"

// MaxEndpointLength is the greatest length of an endpoint, in bytes.
const MaxEndpointLength = 2048

// ParseEndpoint checks the base URL of a server that speaks the contract and
// returns it without a trailing slash. It is an https URL, or http where the
// host is localhost, 127.0.0.0/8 in dotted form or [::1]. User information, a
// query, a fragment, dot segments and characters that URL parsers read
// differently are refused with an [InvalidArgument] error.
func ParseEndpoint(raw string) (string, error) {
	const arg = "endpoint"
	if raw == "" {
		return "", Invalid(arg, "is missing; give the URL of your licence gateway, such as https://license.example.com")
	}
	if len(raw) > MaxEndpointLength {
		return "", Invalid(arg, "is longer than 2048 characters")
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
	if scheme == "http" && !isLoopback(host) {
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
		if len(host) < 4 || strings.Trim(host[1:end], "0123456789abcdef:.") != "" {
			return "", "", false
		}
	} else {
		if i := strings.IndexByte(host, ':'); i >= 0 {
			host, port = host[:i], host[i:]
		}
		if host == "" || strings.Trim(host, hostBytes) != "" || strings.Contains(host, "..") || host[0] == '.' {
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

func isLoopback(host string) bool {
	if host == "localhost" || host == "[::1]" {
		return true
	}
	octets := strings.Split(host, ".")
	if len(octets) != 4 || octets[0] != "127" {
		return false
	}
	for _, octet := range octets {
		n, ok := parseDigits(octet)
		// A leading zero means octal to some parsers.
		if !ok || n > 255 || len(octet) > 1 && octet[0] == '0' {
			return false
		}
	}
	return true
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
