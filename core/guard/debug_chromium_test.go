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
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
)

// TestDebugPageInABrowser opens the page while load runs and reads numbers off
// it, with scripts and without.
func TestDebugPageInABrowser(t *testing.T) {
	browser := chromium(t)
	d := newDebugged(t)
	held := d.occupy(t, hostile, 5)
	mux := http.NewServeMux()
	mux.Handle("/debug/dlm", d.page)
	mux.HandleFunc("/no-scripts", func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		d.page.ServeHTTP(answer, r)
		w.Header().Set("Content-Security-Policy", "script-src 'none'") // the browser runs none
		_, _ = w.Write(answer.Body.Bytes())
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	stop := underLoad(t, d.locks)
	defer stop()

	live := dumpDOM(t, browser, server.URL+"/debug/dlm")
	require.GreaterOrEqual(t, number(t, live, `data-updates="(\d+)"`), 1, "updated by server-sent events")
	require.Contains(t, live, `<span id="link">live</span>`)
	plain := dumpDOM(t, browser, server.URL+"/no-scripts")
	require.NotContains(t, plain, "data-updates", "scripts are off")

	for name, dom := range map[string]string{"live": live, "without scripts": plain} {
		require.GreaterOrEqual(t, number(t, dom, `<b id="held">(\d+)</b>`), 1, name)
		require.GreaterOrEqual(t, number(t, dom, `<b id="waiting">(\d+)</b>`), 5, name)
		require.Positive(t, number(t, dom, `<b id="acquired">(\d+)</b>`), name)
		require.Equal(t, 3, number(t, dom, `<b id="voting">(\d+)</b>`), name)
		require.Contains(t, dom, fmt.Sprintf(`<td class="n">%d</td>`, held.FencingToken()), name)
		require.Contains(t, dom, "&lt;script&gt;alert(", "%s: the key is text", name)
		require.NotContains(t, dom, hostile, name)
	}
	require.Greater(t, number(t, plain, `<b id="acquired">(\d+)</b>`), number(t, live, `<b id="acquired">(\d+)</b>`), "the load went on")
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

// underLoad takes and frees locks until stop.
func underLoad(t *testing.T, locks *core.Manager) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				_ = locks.Do(ctx, fmt.Sprint("load", i%2), func(context.Context) error { return nil })
			}
		})
	}
	return func() { cancel(); all.Wait() }
}

// dumpDOM returns the page as the browser has it after its first stream of events
// is over: virtual time stands still while a request is under way.
func dumpDOM(t *testing.T, browser, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--no-first-run", "--disable-dev-shm-usage", "--user-data-dir="+t.TempDir(),
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
