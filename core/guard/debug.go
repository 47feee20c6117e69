package guard

import (
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
)

// DebugHandler shows what m does at this moment: the nodes and their health, the
// locks held in this process and who waits for which key, and with the options
// the caches and the last refusals and losses. Nothing mounts it by itself.
//
// To browsers it is a page that stays up to date by server-sent events, or by
// reloading where scripts are off; to Accept: application/json it is JSON. It
// answers on whatever path it is mounted.
//
// The page shows keys, which may say who somebody is, and the addresses of the
// nodes; it never shows passwords or values. Mount it behind authentication or on
// a listener of its own that is not reachable from outside. It says so on the
// page, and once in the log, when somebody else is served without credentials.
//
// Each page in view costs a PING and an INFO per node and second, however many
// look at it. Streams end after 10 s and are opened anew by the page, so they
// delay a server's Shutdown by no more than that.
//
// It panics when m is nil.
func DebugHandler(m *core.Manager, opts ...DebugOption) http.Handler {
	if m == nil {
		panic("guard: DebugHandler(nil): pass the *core.Manager to show")
	}
	p := &debugPage{m: m, streams: make(chan struct{}, maxStreams)}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// DebugOption adds something to the page of DebugHandler.
type DebugOption func(*debugPage)

// DebugEvents adds what log holds. It must also be the Manager's Observer, or
// one of them: see [core.MultiObserver].
func DebugEvents(log *EventLog) DebugOption {
	return func(p *debugPage) { p.events = log }
}

// DebugCache adds a cache, or a Guard. stats is the Stats method of either; usage
// is the Usage method of the Guard or of the cache's [cache.Memory], or nil.
func DebugCache(name string, stats func() cache.Stats, usage func() cache.Usage) DebugOption {
	return func(p *debugPage) { p.caches = append(p.caches, debugSource{name, stats, usage}) }
}

const (
	debugRows    = 200 // of each table
	debugRefresh = time.Second
	maxStreams   = 16
)

type debugPage struct {
	m       *core.Manager
	events  *EventLog
	caches  []debugSource
	streams chan struct{} // a place for each stream
	warned  atomic.Bool

	mu   sync.Mutex
	last *debugView // guarded by mu; what it points to is read-only
}

type debugSource struct {
	name  string
	stats func() cache.Stats
	usage func() cache.Usage
}

// ServeHTTP implements [http.Handler].
func (p *debugPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the debug page is only read: use GET", http.StatusMethodNotAllowed)
		return
	}
	exposed := p.exposed(r)
	switch accept := strings.Join(r.Header["Accept"], ","); {
	case strings.Contains(accept, "text/event-stream"):
		p.stream(w, r, exposed)
	case strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html"):
		writeJSON(w, http.StatusOK, p.view())
	default:
		p.page(w, exposed)
	}
}

// exposed reports whether the page goes to another machine that has shown no
// credentials, and says so in the log the first time.
func (p *debugPage) exposed(r *http.Request) bool {
	if fromHere(r) || credentialed(r) {
		return false
	}
	if p.warned.CompareAndSwap(false, true) {
		slog.Warn("dlm: debug page served without credentials; put authentication in front of it: it shows keys and addresses", "to", r.RemoteAddr)
	}
	return true
}

// fromHere is false for what a proxy passes on, wherever the proxy runs. What
// is no IP address came over a Unix socket.
func fromHere(r *http.Request) bool {
	if r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err != nil || addr.Addr().Unmap().IsLoopback()
}

func credentialed(r *http.Request) bool {
	certified := r.TLS != nil && len(r.TLS.PeerCertificates) > 0
	return certified || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != ""
}
