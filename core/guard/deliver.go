package guard

import (
	"net/http"
	"strconv"
	"time"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard/internal/rfc9111"
)

// deliver answers r with a response that may be stored and shared: with 304 or
// the ranges r asks for where they apply. fwd is why the handler was asked, if it
// was.
func (g *Guard) deliver(w http.ResponseWriter, r *http.Request, res *cache.Result[*response], fwd rfc9111.Fwd) {
	g.setHeader(w.Header(), res, fwd)
	sendShared(w, r, res.Value)
}

// sendShared sends what setHeader has begun.
func sendShared(w http.ResponseWriter, r *http.Request, resp *response) {
	if resp.status != http.StatusOK {
		send(w, r, resp)
		return
	}
	if resp.meta.Evaluate(r.Header) == rfc9111.NotModified {
		sendNotModified(w)
		return
	}
	if lines := r.Header["Range"]; len(lines) > 0 && r.Method == http.MethodGet && resp.meta.RangeApplies(r.Header) &&
		!rfc9111.MayBeRecoded(w.Header(), r.Header, resp.header) {
		sendRanges(w, lines, resp)
		return
	}
	send(w, r, resp)
}

func send(w http.ResponseWriter, r *http.Request, resp *response) {
	w.WriteHeader(resp.status)
	if len(resp.body) > 0 && r.Method != http.MethodHead {
		_, _ = w.Write(resp.body) // a client that is gone is nobody's concern
	}
}

func sendRanges(w http.ResponseWriter, lines []string, resp *response) {
	partial := rfc9111.PlanPartial(lines, int64(len(resp.body)), resp.header.Get("Content-Type"))
	partial.SetHeader(w.Header())
	w.WriteHeader(partial.Status)
	_ = partial.Write(w, resp.body)
}

// deliverOwn answers with a response that is not to be stored, to the client
// whose request it answers.
func (g *Guard) deliverOwn(w http.ResponseWriter, r *http.Request, resp *response, s rfc9111.CacheStatus) {
	if resp.live {
		return
	}
	h := w.Header()
	addHeader(h, resp.full)
	if resp.reason == reasonUnanswered {
		return
	}
	s.Detail = string(resp.reason)
	g.addStatus(h, s)
	// The handler was asked without the client's conditions: see forwarded.
	if resp.reason != reasonCutShort && resp.meta.Evaluate(r.Header) == rfc9111.NotModified {
		sendNotModified(w)
		return
	}
	send(w, r, resp)
}

func sendNotModified(w http.ResponseWriter) {
	rfc9111.SetNotModified(w.Header())
	w.WriteHeader(http.StatusNotModified)
}

// statusOf tells what the request went through.
func (g *Guard) statusOf(res *cache.Result[*response], ttl time.Duration, fwd rfc9111.Fwd) rfc9111.CacheStatus {
	s := rfc9111.CacheStatus{TTL: ttl, HasTTL: true}
	switch res.State {
	case cache.Fetched:
		s.Fwd, s.Stored, s.Collapsed = fwd, res.Stored, g.inVain(res.Waited)
	case cache.Shared:
		s.Fwd, s.Collapsed = fwd, rfc9111.CollapsedReused
	case cache.Stale:
		if res.Err != nil {
			s.Fwd, s.Detail = rfc9111.FwdStale, "stale-if-error"
		}
	}
	return s
}

// inVain tells of a request that waited for another one's response and could not
// have it. With Fresh 0 nobody waits for a response, only for the lock, and nor does
// who asks for no-cache: what another one gets was of no use to them from the start.
func (g *Guard) inVain(waited bool) rfc9111.Collapsed {
	if waited && g.Fresh > 0 {
		return rfc9111.CollapsedInVain
	}
	return rfc9111.NotCollapsed
}

func (g *Guard) addStatus(h http.Header, s rfc9111.CacheStatus) {
	s.Cache = g.CacheName
	s.AddTo(h)
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(max(d, 0)/time.Second), 10)
}
