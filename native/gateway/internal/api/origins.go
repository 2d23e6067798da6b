package api

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/rs/cors"
	"golang.org/x/time/rate"
)

// The origins of pages without a host. Browsers send NoOrigin for a page from a
// file and for one in a sandboxed frame; Electron sends FileOrigin for a page
// from a file, unless its fuse grantFileProtocolExtraPrivileges is off.
const (
	NoOrigin   = "null"
	FileOrigin = "file://"
)

// FileOriginAdvice says which origins pages from files send, and what to do instead.
const FileOriginAdvice = "a page from a file sends file:// if Electron's fuse grantFileProtocolExtraPrivileges is on, which is the default, and null if it is off; serve your page from a custom scheme, such as app://my-app, and allow that, or let the app's main process decide, which needs no origin"

const (
	// maxRequestedHeaders is how long a list of headers that a page asks for may be.
	maxRequestedHeaders = 2 << 10
	// Anyone can send any origin, so these bound what is remembered and logged.
	maxOrigin         = 300
	originsRemembered = 1000
	originsAtOnce     = 10
	originPace        = time.Minute
	// pasteable holds the characters of an origin that have no meaning to a shell.
	pasteable = "abcdefghijklmnopqrstuvwxyz0123456789-._:/+[]"
)

// IsOrigin reports whether text is exactly what a browser would send as Origin:
// anything else would never match.
func IsOrigin(text string) bool {
	if text == NoOrigin || text == FileOrigin {
		return true
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" || text != u.Scheme+"://"+u.Host {
		return false
	}
	defaultPort := u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80"
	return !defaultPort && !strings.ContainsFunc(text, func(c rune) bool {
		return c <= ' ' || c > '~' || c >= 'A' && c <= 'Z' || c == '*' || c == ','
	})
}

// origins are the origins whose pages may call the gateway.
type origins struct {
	allowed []string
	log     *slog.Logger

	mu   sync.Mutex
	said *simplelru.LRU[string, struct{}]
	pace *rate.Limiter
}

func newOrigins(allowed []string, log *slog.Logger) *origins {
	o := &origins{allowed: allowed, log: log, pace: rate.NewLimiter(rate.Every(originPace), originsAtOnce)}
	o.said, _ = simplelru.NewLRU[string, struct{}](originsRemembered, nil)
	return o
}

// allows reports whether a request comes from a page that may call the gateway, or
// from no page.
func (o *origins) allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || slices.Contains(o.allowed, origin)
}

// handler adds the CORS headers that let allowed pages read answers, whatever
// the path: a page that can't read a 404 can't tell that its endpoint is wrong.
func (o *origins) handler(next http.HandlerFunc) http.Handler {
	handler := cors.New(cors.Options{
		// A function and not the list: an empty list would allow every origin.
		AllowOriginFunc: func(origin string) bool { return slices.Contains(o.allowed, origin) },
		AllowedMethods:  []string{http.MethodGet, http.MethodHead, http.MethodPost},
		// Tracing libraries add headers to every request of a page.
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{"Retry-After"},
		MaxAge:         600,
	}).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A browser that POSTs JSON has asked with OPTIONS before.
		if r.Method != http.MethodPost && !o.allows(r) {
			o.refuse(r.Header.Get("Origin"))
		}
		handler.ServeHTTP(w, r)
	})
}

// refuse logs, once for each origin, how to allow it.
func (o *origins) refuse(origin string) {
	if len(origin) > maxOrigin || !IsOrigin(origin) || strings.Trim(origin, pasteable) != "" {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said.Contains(origin) || !o.pace.Allow() {
		return
	}
	o.said.Add(origin, struct{}{})
	if origin == NoOrigin || origin == FileOrigin {
		o.log.Warn("a page from a file, or in a sandboxed frame, was refused; if it is yours: "+FileOriginAdvice, "origin", origin)
		return
	}
	o.log.Warn("a page was refused, because its origin is not in --allowed-origin; if the page is yours, start the gateway with this flag too", "origin", origin, "flag", "--allowed-origin="+origin)
}
