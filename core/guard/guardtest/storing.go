package guardtest

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
)

// storing is about when a response may be stored, and who waits for it.
var storing = []behaviour{
	{name: "different keys of a cached route run at once", test: differentTargetsTogether},
	{name: "a waiter of a cold key that goes away frees only itself", test: coldWaiterGone},
	{name: "a loser of a cold key is refused at its deadline", test: coldLoserRefused},
	{name: "a response made under a lost lock is not stored", test: lostLockNotStored},
	{name: "a stale response stands in when the lock is lost", test: staleForLostLock},
	{name: "a stale response stands in for one cut short", test: staleForCutShort},
	{name: "a response made before a purge is not stored after it", test: purgedWhileRunning},
	{name: "a stale response is refreshed once in the fleet", test: refreshedOnce},
	{name: "Close waits for refreshes", test: closeDrains},
	{name: "no quorum refuses on a cached route where failing closed was chosen", test: cacheFailsClosed},
	{name: "a corrupt value in the store is a miss", test: corruptIsMiss},
	{name: "which statuses are stored without being told, and which when told", test: statuses},
	{name: "Authorization is cached where that was dangerously allowed", test: authorizationAllowed},
	{name: "Set-Cookie is stored where that was dangerously allowed", test: setCookieAllowed},
	{name: "a field of the request is part of the identity where configured", test: identityHeaders},
	{name: "compression outside of the guard suits every client", test: compressedOutside},
	{name: "a client's no-store keeps its response out where obeyed", test: clientNoStore},
	{name: "HEAD and ranges obey a client's wishes where obeyed", test: partialObeys},
	{name: "a targeted field decides in place of Cache-Control", test: targeted},
}

func differentTargetsTogether(e *env) {
	g := newGate()
	s, _ := e.storeWith(guard.Config{Wait: patience}, g.ServeHTTP)
	one, two, three := s.goGet(context.Background(), "/x/1"), s.goGet(context.Background(), "/x/2"), s.goGet(context.Background(), "/x/1?q")
	for range 3 {
		receive(e, g.entered, "a handler beside the others")
	}
	close(g.leave)
	for _, c := range []<-chan answer{one, two, three} {
		s.ok(receive(e, c, "an answer"))
	}
}

func coldWaiterGone(e *env) {
	g := newGate()
	s, runs := e.storeWith(guard.Config{Wait: patience}, g.ServeHTTP)
	winner := s.goGet(context.Background(), "/x/1")
	receive(e, g.entered, "the winner")
	ctx, hangUp := context.WithCancel(context.Background())
	leaver, stayer := s.goGet(ctx, "/x/1"), s.goGet(context.Background(), "/x/1")
	hangUp()
	require.Error(s, receive(e, leaver, "the end of the one that left").err)
	close(g.leave)
	s.ok(receive(e, winner, "the winner's answer"))
	s.ok(receive(e, stayer, "the answer of the one that stayed"))
	s.runs(1, runs)
}

func coldLoserRefused(e *env) {
	g := newGate()
	s, runs := e.storeWith(guard.Config{Wait: 50 * time.Millisecond}, g.ServeHTTP)
	winner := s.goGetUntilQueued(context.Background(), "/x/1")
	receive(e, g.entered, "the winner")
	a := s.status(http.StatusServiceUnavailable, s.get("/x/1"))
	require.NotEmpty(s, a.Header.Get("Retry-After"))
	close(g.leave)
	s.ok(receive(e, winner, "the winner's answer"))
	s.runs(1, runs)
}

// untilLost answers when its lock is lost.
func untilLost(w http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	_, _ = io.WriteString(w, "late")
}

func lostLockNotStored(e *env) {
	s, runs := e.storeWith(e.brief(guard.Config{}), untilLost)
	for want := int64(1); want <= 2; want++ {
		require.Equal(s, "late", s.ok(s.get("/x/1")).body)
		s.runs(want, runs)
	}
}

func staleForLostLock(e *env) {
	s, runs := e.storeWith(e.brief(guard.Config{}), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
		if w.Header().Get("X-Run") == "1" {
			_, _ = io.WriteString(w, "good")
			return
		}
		<-r.Context().Done() // as a proxy would find out
		w.WriteHeader(http.StatusBadGateway)
	})
	s.ok(s.get("/x/1"))
	require.Equal(s, "good", s.ok(s.get("/x/1")).body)
	s.runs(2, runs)
}

func staleForCutShort(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
		w.Header().Set("Content-Length", "4")
		if w.Header().Get("X-Run") == "1" {
			_, _ = io.WriteString(w, "good")
			return
		}
		_, _ = io.WriteString(w, "ba")
	})
	s.ok(s.get("/x/1"))
	require.Equal(s, "good", s.ok(s.get("/x/1")).body)
	s.runs(2, runs)
}

func purgedWhileRunning(e *env) {
	gate := newGate()
	handler, runs := counted(gate.ServeHTTP)
	g := e.guard(guard.Config{Fresh: time.Hour, Wait: patience})
	s := e.serve(route(g, handler))
	first := s.goGet(context.Background(), "/x/1")
	receive(e, gate.entered, "the handler")
	s.purge(func() error { return g.Purge(context.Background(), "id_1") })
	close(gate.leave)
	s.ok(receive(e, first, "the answer made before the purge"))
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
}

func refreshedOnce(e *env) {
	g := newGate()
	handler, runs := counted(func(w http.ResponseWriter, r *http.Request) {
		if w.Header().Get("X-Run") == "1" {
			w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
			_, _ = io.WriteString(w, "old")
			return
		}
		w.Header().Set("Cache-Control", "max-age=60")
		g.ServeHTTP(w, r)
	})
	_, sites := e.fleet(3, handler)
	body := func(s *site) string { return s.ok(s.get("/x/1", "Host", fleetHost)).body }
	require.Equal(e, "old", body(sites[0]))
	for range 3 {
		for _, s := range sites {
			require.Equal(e, "old", body(s))
		}
	}
	receive(e, g.entered, "the refresh")
	close(g.leave)
	for _, s := range sites {
		require.Eventually(e, func() bool { return body(s) == "through" }, patience, time.Millisecond)
	}
	sites[0].runs(2, runs)
}

func closeDrains(e *env) {
	gate := newGate()
	var ended atomic.Bool
	g := e.guard(guard.Config{Fresh: time.Hour})
	s := e.serve(route(g, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
		if guard.IsRefresh(r.Context()) {
			gate.entered <- r
			<-gate.leave
			ended.Store(true)
		}
	}))
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1"))
	receive(e, gate.entered, "the refresh")
	closed := make(chan error, 1)
	go func() { closed <- g.Close() }()
	close(gate.leave)
	require.NoError(s, receive(e, closed, "the end of Close"))
	require.True(s, ended.Load(), "Close came back before the refresh")
}

func cacheFailsClosed(e *env) {
	cfg := guard.Config{Locks: e.lonely(), OnUnavailable: guard.FailClosed, Fresh: time.Hour, Wait: 100 * time.Millisecond}
	s := e.serve(route(e.guard(cfg), e.unreached))
	a := s.status(http.StatusServiceUnavailable, s.get("/x/1"))
	require.NotEmpty(s, a.Header.Get("Retry-After"))
}

// rotten is a store that gives back something else than it was given.
type rotten struct {
	cache.Store
	rot func([]byte) []byte
}

func (r rotten) Get(ctx context.Context, key string) (cache.Item, error) {
	it, err := r.Store.Get(ctx, key)
	if it.Value != nil {
		it.Value = r.rot(it.Value)
	}
	return it, err
}

func corruptIsMiss(e *env) {
	for name, rot := range map[string]func([]byte) []byte{
		"empty":    func([]byte) []byte { return []byte{} },
		"foreign":  func([]byte) []byte { return []byte(`{"status":200}`) },
		"cut":      func(v []byte) []byte { return v[:len(v)/2] },
		"flipped":  func(v []byte) []byte { v = append([]byte(nil), v...); v[0] ^= 0xff; return v },
		"all ones": func(v []byte) []byte { return []byte(repeat("\xff", len(v))) },
	} {
		s, runs := e.storeWith(guard.Config{Namespace: name, Store: rotten{cache.NewMemory(1 << 20), rot}}, write("hello"))
		for want := int64(1); want <= 2; want++ {
			require.Equal(s, "hello", s.ok(s.get("/x/1")).body, name)
			s.runs(want, runs)
		}
	}
}

func statuses(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) {
		code, err := strconv.Atoi(r.PathValue("id"))
		if err != nil {
			e.Error(err)
		}
		if cc := r.URL.RawQuery; cc != "" {
			w.Header().Set("Cache-Control", cc)
		}
		w.WriteHeader(code)
	})
	var want int64
	for _, row := range []struct {
		code         int
		silent, told bool // stored without, and with, max-age
	}{
		{200, true, true}, {203, true, true}, {204, true, true}, {300, true, true}, {301, true, true}, {308, true, true},
		{404, true, true}, {405, true, true}, {410, true, true}, {414, true, true}, {501, true, true},
		{201, false, true}, {202, false, true}, {302, false, true}, {303, false, true}, {307, false, true},
		{400, false, true}, {401, false, true}, {403, false, true}, {500, false, true}, {503, false, true},
		{206, false, false},
		{428, false, false}, {429, false, false}, {431, false, false}, {511, false, false}, // RFC 6585
	} {
		for _, try := range []struct {
			query  string
			stored bool
		}{{"", row.silent}, {"?max-age=60", row.told}} {
			path := "/x/" + strconv.Itoa(row.code) + try.query
			s.status(row.code, s.get(path))
			s.status(row.code, s.get(path))
			if want++; !try.stored {
				want++
			}
			require.Equal(s, want, runs.Load(), path)
		}
	}
}

func authorizationAllowed(e *env) {
	s, runs := e.storeWith(guard.Config{DangerouslyCacheAuthorization: true}, write("hello"))
	s.ok(s.get("/x/1", "Authorization", "a"))
	s.ok(s.get("/x/1", "Authorization", "b"))
	s.runs(1, runs)
}

func setCookieAllowed(e *env) {
	s, runs := e.storeWith(guard.Config{DangerouslyStoreSetCookie: true}, func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
	})
	for range 2 {
		require.Equal(s, []string{"theme=dark"}, s.ok(s.get("/x/1")).Header["Set-Cookie"])
	}
	s.runs(1, runs)
}

func identityHeaders(e *env) {
	s, runs := e.storeWith(guard.Config{IdentityHeaders: []string{"x-forwarded-host"}}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Host"))
	})
	for range 2 {
		require.Equal(s, "evil.example", s.ok(s.get("/x/1", "X-Forwarded-Host", "evil.example")).body)
		require.Empty(s, s.ok(s.get("/x/1")).body)
		require.Equal(s, "shop.example", s.ok(s.get("/x/1", "X-Forwarded-Host", "shop.example")).body)
	}
	s.runs(3, runs)
}

func clientNoStore(e *env) {
	s, runs := e.storeWith(guard.Config{ObeyClient: true}, write("hello"))
	s.ok(s.get("/x/1", "Cache-Control", "no-store"))
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
}

func partialObeys(e *env) {
	s, runs := e.storeWith(guard.Config{ObeyClient: true}, write("hello"))
	head := func(cacheControl string) answer {
		return s.do(context.Background(), http.MethodHead, "/x/1", nil, "Cache-Control", cacheControl)
	}
	s.status(http.StatusGatewayTimeout, head("only-if-cached"))
	s.status(http.StatusGatewayTimeout, s.get("/x/1", "Range", "bytes=0-1", "Cache-Control", "only-if-cached"))
	s.runs(0, runs)
	s.ok(s.get("/x/1"))
	s.runs(1, runs)
	s.ok(head("only-if-cached"))
	s.ok(head("max-age=60"))
	s.status(http.StatusPartialContent, s.get("/x/1", "Range", "bytes=0-1", "Cache-Control", "max-age=60"))
	s.runs(1, runs)
	s.ok(head("no-cache"))
	s.ok(s.get("/x/1", "Range", "bytes=0-1", "Cache-Control", "no-cache"))
	s.runs(3, runs)
}

func targeted(e *env) {
	s, runs := e.storeWith(guard.Config{TargetedControl: []string{"DLM-Cache-Control", "CDN-Cache-Control"}}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("CDN-Cache-Control", r.URL.Query().Get("cdn"))
		w.Header().Set("DLM-Cache-Control", r.URL.Query().Get("dlm"))
	})
	var want int64
	for query, stored := range map[string]bool{
		"cdn=max-age%3D60":                     true,
		"cdn=no-store":                         false,
		"cdn=max-age%3D60&dlm=no-store":        false,
		"cdn=no-store&dlm=max-age%3D60":        true,
		"cdn=max-age%3D60%2C":                  false, // no structured field, so Cache-Control decides
		"dlm=max-age%3D1.5":                    false,
		"cdn=max-age%3D60%2C%20private%3D%3F0": true,
	} {
		s.ok(s.get("/x/1?" + query))
		s.ok(s.get("/x/1?" + query))
		if want++; !stored {
			want++
		}
		require.Equal(s, want, runs.Load(), query)
	}
}
