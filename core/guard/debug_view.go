package guard

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/market-intel-brain/dlm/core"
)

// debugView is the page, also as JSON. Durations are in seconds.
type debugView struct {
	At         time.Time    `json:"at"`
	Quorum     int          `json:"quorum"`
	Voting     int          `json:"voting"`
	Error      string       `json:"error,omitempty"` // why there is no quorum
	Held       int          `json:"held"`
	Waiting    int          `json:"waiting"`
	Queued     int          `json:"queued"`
	Acquired   uint64       `json:"acquired"`
	HandedOver uint64       `json:"handed_over"`
	Refused    uint64       `json:"refused"`
	Lost       uint64       `json:"lost"`
	Nodes      []debugNode  `json:"nodes"`
	Locks      []debugLock  `json:"locks"`
	Queues     []debugQueue `json:"queues"`
	Caches     []debugCache `json:"caches,omitempty"`
	Events     []debugEvent `json:"events,omitempty"`
}

type debugNode struct {
	nodeReport
	Commands uint64 `json:"commands"`
	Errors   uint64 `json:"errors"`
}

type debugLock struct {
	Key       string  `json:"key"`
	Owner     string  `json:"owner"`
	Token     uint64  `json:"fencing_token"`
	Age       float64 `json:"age_seconds"`
	Remaining float64 `json:"remaining_seconds"`
	Nodes     int     `json:"nodes"`
}

type debugQueue struct {
	Key      string  `json:"key"`
	Waiting  int     `json:"waiting"`
	Waited   float64 `json:"waited_seconds"`
	HeldHere bool    `json:"held_here"`
}

type debugCache struct {
	Name      string  `json:"name"`
	HitRatio  float64 `json:"hit_ratio"` // served without a fetch, of that and the fetches
	Hits      uint64  `json:"hits"`
	Stale     uint64  `json:"stale"`
	Collapsed uint64  `json:"collapsed"`
	Fetches   uint64  `json:"fetches"`
	Refused   uint64  `json:"refused"`
	InFlight  int     `json:"in_flight"`
	Entries   int     `json:"entries"`
	Bytes     uint64  `json:"bytes"`
	Limit     uint64  `json:"limit"`
}

// Percent is HitRatio for people.
func (c debugCache) Percent() float64 { return 100 * c.HitRatio }

// view is at most half a refresh old, so that all who look share one.
func (p *debugPage) view() *debugView {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil || time.Since(p.last.At) > debugRefresh/2 {
		p.last = p.look()
	}
	return p.last
}

func (p *debugPage) look() *debugView {
	// Not the context of whoever came first: the others wait for it too. Health
	// itself takes no longer than NodeTimeout.
	h, err := p.m.Health(context.Background())
	stats, now := p.m.Stats(), p.m.Snapshot(debugRows)
	v := &debugView{
		At: now.At, Quorum: stats.Quorum, Voting: h.Voting, Error: textOf(err),
		Held: now.Held, Queued: now.Queued, Waiting: stats.Waiting,
		Acquired: stats.Acquired, HandedOver: stats.HandedOver, Refused: stats.Refused, Lost: stats.Lost,
		Locks: debugLocks(now), Queues: debugQueues(now),
	}
	for i, n := range reportNodes(h) {
		v.Nodes = append(v.Nodes, debugNode{nodeReport: n, Commands: stats.Nodes[i].Commands, Errors: stats.Nodes[i].Errors})
	}
	for _, c := range p.caches {
		v.Caches = append(v.Caches, c.read())
	}
	if p.events != nil {
		v.Events = p.events.recent(debugRows)
	}
	return v
}

func debugLocks(s core.Snapshot) []debugLock {
	locks := make([]debugLock, 0, len(s.Locks)) // [] in JSON, not null
	for _, l := range s.Locks {
		locks = append(locks, debugLock{
			Key: showKey(l.Key), Owner: l.Owner, Token: l.FencingToken, Nodes: len(l.Nodes),
			Age: s.At.Sub(l.AcquiredAt).Seconds(), Remaining: max(l.ExpiresAt.Sub(s.At), 0).Seconds(),
		})
	}
	return locks
}

func debugQueues(s core.Snapshot) []debugQueue {
	queues := make([]debugQueue, 0, len(s.Queues))
	for _, q := range s.Queues {
		queues = append(queues, debugQueue{Key: showKey(q.Key), Waiting: q.Waiting, Waited: s.At.Sub(q.Since).Seconds(), HeldHere: q.HeldHere})
	}
	return queues
}

func (c debugSource) read() debugCache {
	s := c.stats()
	d := debugCache{
		Name: c.name, Hits: s.Hits, Stale: s.Stale, Collapsed: s.Shared, Fetches: s.Fetches,
		Refused: s.Refused, InFlight: s.InFlight,
	}
	served := s.Hits + s.Stale + s.Negative + s.Shared
	if all := served + s.Fetches; all > 0 {
		d.HitRatio = float64(served) / float64(all)
	}
	if c.usage != nil {
		u := c.usage()
		d.Entries, d.Bytes, d.Limit = u.Entries, u.Bytes, u.Limit
	}
	return d
}

// maxShown is how many bytes of a key are shown.
const maxShown = 256

// showKey is a key as text: as it is where it is plain, quoted like a Go string
// where it holds anything that does not show or is too long.
func showKey(key string) string {
	if len(key) > maxShown {
		return strconv.Quote(key[:maxShown]) + "…"
	}
	if !utf8.ValidString(key) {
		return strconv.Quote(key)
	}
	for _, r := range key {
		if !unicode.IsPrint(r) {
			return strconv.Quote(key)
		}
	}
	return key
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone is nobody's concern
}
