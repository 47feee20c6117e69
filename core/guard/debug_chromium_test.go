package guard_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// TestDebugPageInABrowser opens the page while load runs and compares what is
// on it with what was done, with scripts and without.
func TestDebugPageInABrowser(t *testing.T) {
	browser := chromium(t)
	settled, busy := newGuard(t, guard.Config{Fresh: time.Hour}), newGuard(t, guard.Config{Fresh: time.Hour})
	for _, quote := range []string{"/1", "/2", "/1", "/2", "/1", "/2", "/1", "/2"} {
		require.Equal(t, http.StatusOK, asked(nethttplock.Wrap(settled, http.HandlerFunc(bare)), quote))
	}
	d := newDebugged(t, guard.DebugCache("settled", settled.Stats, settled.Usage), guard.DebugCache("busy", busy.Stats, busy.Usage))
	held := d.occupy(t, hostile, 5)
	for range 2 {
		_, err := d.locks.TryAcquire(t.Context(), hostile)
		require.ErrorIs(t, err, core.ErrNotAcquired)
	}
	require.Eventually(t, func() bool { return d.json(t).Voting == 3 }, time.Minute, 10*time.Millisecond)
	server := httptest.NewServer(d.browsed())
	defer server.Close()
	l := underLoad(t, d.locks, nethttplock.Wrap(busy, http.HandlerFunc(bare)))
	defer l.stop()

	acquired := 0
	for _, path := range []string{"/debug/dlm", "/no-scripts"} {
		least := l.sofar()
		dom := dumpDOM(t, browser, server.URL+path)
		l.sane(t, dom, least)
		require.Equal(t, 3, number(t, dom, `<b id="voting">(\d+)</b>`), path)
		require.Equal(t, 2, number(t, dom, `<b id="refused">(\d+)</b>`), path)
		require.Equal(t, 0, number(t, dom, `<b id="lost">(\d+)</b>`), path)
		require.GreaterOrEqual(t, number(t, dom, `<b id="held">(\d+)</b>`), 1, path)
		require.GreaterOrEqual(t, number(t, dom, `<b id="waiting">(\d+)</b>`), 5, path)
		row := regexp.MustCompile(`&lt;script&gt;alert\("dlm"\)&lt;/script&gt;</code></td><td class="n">[^<]+</td><td class="n">[^<]+</td><td class="n">(\d+)</td>`)
		require.EqualValues(t, held.FencingToken(), number(t, dom, row.String()), "%s: the lock", path)
		require.Equal(t, 5, number(t, dom, `&lt;script&gt;alert\("dlm"\)&lt;/script&gt;</code></td><td class="n">(\d+)</td>`), "%s: its queue", path)
		require.NotContains(t, dom, hostile, "%s: keys are text", path)
		require.Contains(t, dom, `<td>settled</td><td class="n">75.0 %</td><td class="n">6</td><td class="n">0</td><td class="n">0</td><td class="n">2</td>`, path)
		require.Equal(t, int(settled.Usage().Bytes), number(t, dom, `<td>settled</td>.*?<data value="(\d+)">`), path)
		require.Equal(t, path == "/debug/dlm", strings.Contains(dom, `<span id="link" class="live">live</span>`), path)
		require.Equal(t, path == "/debug/dlm", strings.Contains(dom, "data-updates"), "%s: server-sent events", path)
		now := number(t, dom, `<b id="acquired">(\d+)</b>`)
		require.Greater(t, now, acquired, "the load goes on")
		acquired = now
	}
}

// browsed serves the page as it is, for no longer than it takes to see that it is
// live, and to a browser that runs no scripts.
func (d *debugged) browsed() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/dlm", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 1500*time.Millisecond)
		defer cancel()
		d.page.ServeHTTP(w, r.WithContext(ctx))
	})
	mux.HandleFunc("/no-scripts", func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		d.page.ServeHTTP(answer, r)
		w.Header().Set("Content-Security-Policy", "script-src 'none'") // the browser runs none
		_, _ = w.Write(answer.Body.Bytes())
	})
	return mux
}

// chromium skips the test where there is none.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium in $PATH, so the page is not opened in a browser; apt-get install -y chromium (Debian, Ubuntu)")
	return ""
}

// load takes and frees locks, and asks a cache for one thing, counting before and
// after, so that what is shown at any moment lies between the two.
type load struct {
	stop                           func()
	locking, locked, asking, given atomic.Int64
}

func underLoad(t *testing.T, locks *core.Manager, h http.Handler) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{}
	var all sync.WaitGroup
	l.stop = func() { cancel(); all.Wait() }
	for i := range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				l.locking.Add(1)
				if locks.Do(ctx, fmt.Sprint("load", i%2), func(context.Context) error { return nil }, core.WithWait(time.Minute)) == nil {
					l.locked.Add(1)
				}
				l.asking.Add(1)
				asked(h, "/quote")
				l.given.Add(1)
			}
		})
	}
	require.Eventually(t, func() bool { return l.given.Load() > 0 }, time.Minute, time.Millisecond)
	return l
}

// sofar is what the page must show at least.
func (l *load) sofar() (least [2]int64) { return [2]int64{l.locked.Load(), l.given.Load()} }

// sane holds what is on the page against what was done before and by now.
func (l *load) sane(t *testing.T, dom string, least [2]int64) {
	t.Helper()
	acquired := int64(number(t, dom, `<b id="acquired">(\d+)</b>`))
	require.GreaterOrEqual(t, acquired, least[0]+1, "and the one that is held")
	require.LessOrEqual(t, acquired, l.locking.Load()+1)

	row := regexp.MustCompile(`<td>busy</td><td class="n">([\d.]+) %</td><td class="n">(\d+)</td><td class="n">(\d+)</td><td class="n">(\d+)</td><td class="n">(\d+)</td>`)
	found := row.FindStringSubmatch(dom)
	require.NotNil(t, found, dom)
	var n [4]int64 // hits, stale, collapsed, fetches
	for i, text := range found[2:] {
		_, err := fmt.Sscan(text, &n[i])
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, n[3], "one fetch for all")
	served := n[0] + n[1] + n[2]
	require.GreaterOrEqual(t, served+n[3], least[1])
	require.LessOrEqual(t, served+n[3], l.asking.Load())
	require.Equal(t, fmt.Sprintf("%.1f", 100*float64(served)/float64(served+n[3])), found[1])
}

// dumpDOM returns the page as the browser has it after its first stream of events
// is over: virtual time stands still while a request is under way.
func dumpDOM(t *testing.T, browser, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=500", "--dump-dom", url)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	require.NoError(t, cmd.Run(), "%s", &complaints)
	return out.String()
}

func number(t *testing.T, dom, pattern string) int {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(dom)
	require.NotNil(t, found, "%s in %s", pattern, dom)
	n, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	return n
}
