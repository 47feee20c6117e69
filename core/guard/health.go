package guard

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/market-intel-brain/dlm/core"
)

// HealthHandler answers liveness probes: 200 OK while m is open, whatever
// becomes of the nodes, because starting this process anew would not mend Redis;
// 503 after m was closed. The body is JSON and tells the state of each node, so
// it is also what a person wants to see. No secrets are in it, but the addresses
// of the nodes are.
//
// Both handlers ask the nodes once a second at most, however often they are
// asked, and answer within the Manager's NodeTimeout. They panic when m is nil.
func HealthHandler(m *core.Manager) http.Handler {
	return newProbe(m, func(err error) bool { return !errors.Is(err, core.ErrClosed) })
}

// ReadinessHandler answers readiness probes: 200 OK while a majority of m's
// nodes vote, so that locks can be granted, otherwise 503 Service Unavailable.
// A service that does better without locks than not at all, one that only
// caches with FailOpen for example, should not use it: all its processes would
// be taken out at once. The body is that of HealthHandler.
func ReadinessHandler(m *core.Manager) http.Handler {
	return newProbe(m, func(err error) bool { return err == nil })
}

type probe struct {
	m  *core.Manager
	ok func(error) bool

	mu     sync.Mutex
	asked  time.Time    // guarded by mu
	report healthReport // guarded by mu
	err    error        // guarded by mu
}

func newProbe(m *core.Manager, ok func(error) bool) *probe {
	if m == nil {
		panic("guard: a health handler needs a *core.Manager")
	}
	return &probe{m: m, ok: ok}
}

type healthReport struct {
	Status string       `json:"status"` // "ok" or "unavailable"
	Quorum int          `json:"quorum"`
	Voting int          `json:"voting"`
	Error  string       `json:"error,omitempty"`
	Nodes  []nodeReport `json:"nodes"`
}

type nodeReport struct {
	Node    string  `json:"node"`
	Voting  bool    `json:"voting"`
	Reason  string  `json:"reason,omitempty"`
	Latency float64 `json:"latency_seconds"`
	Role    string  `json:"role,omitempty"`
	Version string  `json:"version,omitempty"`
}

// ServeHTTP implements [http.Handler].
func (p *probe) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	report, err := p.ask()
	status := http.StatusOK
	report.Status = "ok"
	if !p.ok(err) {
		status, report.Status = http.StatusServiceUnavailable, "unavailable"
	}
	writeJSON(w, status, report)
}

// ask shares one answer among all who ask within a second.
func (p *probe) ask() (healthReport, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.asked) < time.Second {
		return p.report, p.err
	}
	h, err := p.m.Health(context.Background())
	p.report = healthReport{Quorum: h.Quorum, Voting: h.Voting, Error: textOf(err), Nodes: reportNodes(h)}
	p.asked, p.err = time.Now(), err
	return p.report, err
}

func reportNodes(h core.Health) []nodeReport {
	nodes := make([]nodeReport, len(h.Nodes))
	for i, n := range h.Nodes {
		nodes[i] = nodeReport{Node: n.Node, Voting: n.Voting, Reason: n.Reason, Latency: n.Latency.Seconds(), Role: n.Role, Version: n.Version}
	}
	return nodes
}
