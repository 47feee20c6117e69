package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/coretest"
	"github.com/market-intel-brain/dlm/core/guard"
)

// leakless closes what the client of the tests keeps open, before goleak looks.
type leakless struct{ *testing.M }

func (m leakless) Run() int {
	defer http.DefaultClient.CloseIdleConnections()
	return m.M.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(leakless{m}) }

// proxied serves origin through the cache.
func proxied(t *testing.T, origin http.HandlerFunc) (url string) {
	t.Helper()
	locks, err := core.New(core.Config{Nodes: coretest.Embedded(t, 1).URLs()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	upstream := httptest.NewServer(origin)
	t.Cleanup(upstream.Close)
	handler, stop, err := newProxy(upstream.URL, guard.Config{Locks: locks, Heuristic: time.Hour, Stale: time.Minute, Fresh: time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stop()) })
	front := httptest.NewServer(handler)
	t.Cleanup(front.Close)
	return front.URL
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestProxyCachesWhatTheOriginAllows(t *testing.T) {
	var runs atomic.Int64
	url := proxied(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, runs.Add(1))
	})
	for range 3 {
		_, body := get(t, url+"/a?b=c")
		require.Equal(t, "1", body)
	}
	resp, _ := get(t, url+"/a?b=c")
	require.Contains(t, resp.Header.Get("Cache-Status"), "dlm;hit")
	_, body := get(t, url+"/a?b=d")
	require.Equal(t, "2", body)
}

func TestProxyServesStaleWhenTheOriginFails(t *testing.T) {
	var runs atomic.Int64
	url := proxied(t, func(w http.ResponseWriter, _ *http.Request) {
		if runs.Add(1) > 1 {
			panic(http.ErrAbortHandler) // the proxy makes a 502 of it
		}
		w.Header().Set("Cache-Control", "max-age=0, stale-if-error=60")
		fmt.Fprint(w, "good")
	})
	get(t, url+"/")
	resp, body := get(t, url+"/")
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "good", body)
}

func TestProxyRefusesAnOriginThatIsNone(t *testing.T) {
	_, _, err := newProxy("example.com", guard.Config{})
	require.ErrorContains(t, err, "-origin")
}

func TestProxyServesWhoHasComeBeforeItEnds(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		fmt.Fprint(w, "late")
	}))
	defer origin.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	result, body := make(chan error, 1), make(chan string, 1)
	go func() { result <- run(ctx, listener, origin.URL, "", time.Second, time.Second) }()
	go func() {
		resp, err := http.Post("http://"+listener.Addr().String(), "text/plain", nil) // for a GET the Guard would wait
		if !assert.NoError(t, err) {
			return
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		assert.NoError(t, err)
		body <- string(text)
	}()
	<-asked
	end()
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, patience, time.Millisecond, "nobody else is let in")
	select {
	case <-result:
		require.Fail(t, "ended with a request under way")
	case <-time.After(50 * time.Millisecond): // that nothing happens takes a while
	}
	close(answer)
	require.Equal(t, "late", <-body)
	require.NoError(t, <-result)
}
