package guardtest

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard"
)

var withCookies = []behaviour{
	{name: "Set-Cookie goes to one client only", test: cookieIsPersonal},
	{name: "Set-Cookie of middleware in front goes with a response to one client only", test: cookieInFront},
	{name: "a HEAD with Set-Cookie of middleware in front makes nothing new", test: cookieBesideHead},
	{name: "Set-Cookie is found in any spelling", test: cookieInLowerCase},
	{name: "a request with a cookie has no part in the cache", test: cookies},
	{name: "cookies are cached where that was dangerously allowed", test: cookiesAllowed},
}

func cookieIsPersonal(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: w.Header().Get("X-Run")})
	})
	seen := map[string]bool{}
	for _, a := range s.each(8, at("/x/1")) {
		cookie := s.ok(a).Header.Get("Set-Cookie")
		require.NotEmpty(s, cookie)
		require.False(s, seen[cookie], "two clients got %s", cookie)
		seen[cookie] = true
	}
	s.runs(8, runs)
}

// A token against forged requests is in a cookie and in the page; a session may be
// begun by the handler with a writer it does not have from the Guard.
func cookieInFront(e *env) {
	type outside struct{}
	for name, tc := range map[string]struct {
		cfg         guard.Config
		early, late bool // the cookie
		replaces    bool // late takes the place of early
		runs        int64
	}{
		"early":                  {early: true, runs: 2},
		"late":                   {late: true, runs: 2},
		"early, no difference":   {cfg: guard.Config{DangerouslyCacheCookies: true}, early: true, runs: 1},
		"late, no difference":    {cfg: guard.Config{DangerouslyCacheCookies: true}, late: true, runs: 2},
		"other, no difference":   {cfg: guard.Config{DangerouslyCacheCookies: true}, early: true, late: true, replaces: true, runs: 2},
		"both, and to be stored": {cfg: guard.Config{DangerouslyStoreSetCookie: true}, early: true, late: true, runs: 1},
	} {
		tc.cfg.Fresh, tc.cfg.Namespace = time.Hour, name
		handler, runs := counted(func(w http.ResponseWriter, r *http.Request) {
			front := r.Context().Value(outside{}).(http.Header)
			if tc.replaces {
				front.Del("Set-Cookie")
			}
			if tc.late {
				front.Add("Set-Cookie", "sid=late")
			}
			_, _ = io.WriteString(w, w.Header().Get("X-Run"))
		})
		app := e.adapter.App([]Route{{Method: "GET", Pattern: "/x/{id}", Chain: e.chain, Guard: e.guard(tc.cfg), Handler: handler}})
		s := e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tc.early {
				w.Header().Add("Set-Cookie", "token=early")
			}
			app.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), outside{}, w.Header())))
		}))
		for range 2 {
			before := runs.Load()
			a := s.ok(s.get("/x/1"))
			ran := runs.Load() > before
			require.Equal(s, strconv.FormatInt(runs.Load(), 10), a.body, name)
			require.Equal(s, tc.early && !(tc.replaces && ran), slices.Contains(a.Header["Set-Cookie"], "token=early"), name)
			require.Equal(s, tc.late && ran, slices.Contains(a.Header["Set-Cookie"], "sid=late"), name)
		}
		s.runs(tc.runs, runs)
	}
}

// What a HEAD says is for its own client too, and the content is another one's.
func cookieBesideHead(e *env) {
	handler, runs := counted(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", "7")
		if r.Method == http.MethodHead {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("X-Token", "secret")
			return
		}
		w.Header().Set("Cache-Control", "max-age=0")
		_, _ = io.WriteString(w, "content")
	})
	g := e.guard(guard.Config{Fresh: time.Hour})
	app := e.adapter.App([]Route{
		{Method: http.MethodGet, Pattern: "/x/{id}", Chain: e.chain, Guard: g, Handler: handler},
		{Method: http.MethodHead, Pattern: "/x/{id}", Chain: e.chain, Guard: g, Handler: handler},
	})
	s := e.serveHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.Header()["set-cookie"] = []string{"token=secret"}
		}
		app.ServeHTTP(w, r)
	}))
	s.ok(s.get("/x/1"))
	require.Equal(s, "secret", s.ok(s.head("/x/1")).Header.Get("X-Token"))
	a := s.ok(s.get("/x/1"))
	require.Equal(s, "content", a.body)
	require.Empty(s, a.Header["X-Token"])
	s.runs(3, runs)
}

func cookieInLowerCase(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, _ *http.Request) { w.Header()["set-cookie"] = []string{"sid=1"} })
	s.ok(s.get("/x/1"))
	s.ok(s.get("/x/1"))
	s.runs(2, runs)
}

func cookies(e *env) {
	s, runs := e.store(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Cookie")) })
	require.Equal(s, "sid=1", s.ok(s.get("/x/1", "Cookie", "sid=1")).body)
	require.Empty(s, s.ok(s.get("/x/1")).body)
	require.Equal(s, "sid=2", s.ok(s.get("/x/1", "Cookie", "sid=2")).body)
	s.runs(3, runs)
}

func cookiesAllowed(e *env) {
	s, runs := e.storeWith(guard.Config{DangerouslyCacheCookies: true}, write("hello"))
	s.ok(s.get("/x/1", "Cookie", "sid=1"))
	s.ok(s.get("/x/1", "Cookie", "sid=2"))
	s.runs(1, runs)
}
