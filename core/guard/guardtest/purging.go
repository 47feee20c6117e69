package guardtest

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var purging = []behaviour{
	{name: "a successful POST purges what is stored for its target", test: postPurges},
	{name: "a failed POST purges nothing", test: failedPostPurgesNothing},
	{name: "a purge removes every variant and target of a key", test: purges},
	{name: "a purge by tag removes what carries it", test: purgesTags},
	{name: "a purge reaches what other processes hold in memory", test: purgesFleet},
	{name: "a purge by tag leaves others alone", test: purgesOnlyTags},
	{name: "purge patterns are literal", test: purgeIsLiteral},
}

// purge repeats a purge that a busy machine did not get done in time.
func (s *site) purge(try func() error) {
	s.Helper()
	require.Eventually(s, func() bool { return try() == nil }, patience, time.Millisecond)
}

func purges(e *env) {
	handler, runs := counted(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Vary", "Accept-Language") })
	g := e.guard(guard.Config{Fresh: time.Hour})
	s := e.serve(route(g, handler))
	ask := func() {
		s.ok(s.get("/x/1", "Accept-Language", "de"))
		s.ok(s.get("/x/1", "Accept-Language", "fr"))
		s.ok(s.get("/x/1?q=1"))
	}
	ask()
	s.runs(3, runs)
	s.purge(func() error { return g.Purge(context.Background(), "id_1") })
	ask()
	s.runs(6, runs)
	ask()
	s.runs(6, runs)
}

func purgesTags(e *env) {
	handler, runs := counted(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Tag", "all, id-"+r.URL.Query().Get("t"))
		w.Header().Set("Surrogate-Key", "sk1 sk2")
	})
	g := e.guard(guard.Config{Fresh: time.Hour})
	s := e.serve(route(g, handler))
	for _, tag := range []string{"id-1", "all", "sk2"} {
		s.ok(s.get("/x/1?t=1"))
		before := runs.Load()
		s.purge(func() error { return g.PurgeTags(context.Background(), "all, id-1", "", "sk", tag) })
		s.ok(s.get("/x/1?t=1"))
		s.runs(before+1, runs)
	}
}

func purgesFleet(e *env) {
	handler, _ := counted(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Tag", "all")
		_, _ = io.WriteString(w, w.Header().Get("X-Run"))
	})
	guards, sites := e.fleet(2, handler)
	run := func(s *site) string { return s.ok(s.get("/x/1", "Host", fleetHost)).body }
	for _, purge := range []func() error{
		func() error { return guards[0].Purge(context.Background(), "id_1") },
		func() error { return guards[0].PurgeTags(context.Background(), "all") },
	} {
		old := run(sites[0])
		for range 2 { // read from Redis, then from memory
			for _, s := range sites {
				require.Equal(s, old, run(s))
			}
		}
		sites[0].purge(purge)
		// The other one first: a response made anew is announced as well.
		require.Eventually(e, func() bool { return run(sites[1]) != old }, patience, time.Millisecond)
		require.NotEqual(e, old, run(sites[0]))
	}
}

func purgesOnlyTags(e *env) {
	handler, runs := counted(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Cache-Tag", r.URL.Path) })
	g := e.guard(guard.Config{Fresh: time.Hour})
	s := e.serve(route(g, handler))
	others := s.others(runs)
	s.purge(func() error { return g.PurgeTags(context.Background(), "/x/1") })
	others()
}

func purgeIsLiteral(e *env) {
	handler, runs := counted(write("hello"))
	g := e.guard(guard.Config{Fresh: time.Hour})
	s := e.serve(route(g, handler))
	others := s.others(runs)
	s.purge(func() error { return g.Purge(context.Background(), "*", "id_*", "id_?", "id_[a-z]other1", "") })
	others()
}

func postPurges(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.Header().Set("Location", "/x/2")
			w.WriteHeader(http.StatusCreated)
		}
	})
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/2"))
	others := s.others(runs)
	s.status(http.StatusCreated, s.post("/x/1"))
	before := runs.Load()
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/2"))
	s.runs(before+2, runs)
	others()
}

// others stores responses that a purge of something else is to leave alone, and
// returns the check that it did. Tags share counters, so one may fall with it.
func (s *site) others(runs *atomic.Int64) (untouched func()) {
	const n = 8
	ask := func() {
		for i := range n {
			s.ok(s.get("/x/other" + strconv.Itoa(i)))
		}
	}
	ask()
	return func() {
		s.Helper()
		before := runs.Load()
		ask()
		require.LessOrEqual(s, runs.Load()-before, int64(2), "a purge went too far")
	}
}

func failedPostPurgesNothing(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusConflict)
		}
	})
	s.ok(s.get("/x/1"))
	s.status(http.StatusConflict, s.post("/x/1"))
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
}
