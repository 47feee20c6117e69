package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
)

// trickling are clients that send one byte of a field after another, until they are
// cut off.
func (f *front) trickling(n int) *sync.WaitGroup {
	var all sync.WaitGroup
	for range n {
		conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
		require.NoError(f, err)
		f.Cleanup(func() { _ = conn.Close() })
		require.NoError(f, conn.SetDeadline(time.Now().Add(patience)))
		_, err = io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		require.NoError(f, err)
		over := make(chan struct{})
		all.Go(func() {
			defer close(over)
			said, err := io.ReadAll(conn)
			assert.False(f, isTimeout(err), "a client that sends no end of its fields was left alone")
			assert.NotContains(f, string(said), " 200 ")
		})
		all.Go(func() {
			every := time.NewTicker(20 * time.Millisecond)
			defer every.Stop()
			for {
				select {
				case <-over:
					return
				case <-every.C:
					_, _ = io.WriteString(conn, "y") // its time may be over
				}
			}
		})
	}
	return &all
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // as the connection gave it
	return ok && timeout.Timeout()
}

// Clients that never come to the end of their fields are cut off, those that have too
// many of them are told so, and others are served meanwhile.
func TestFloodsOfFields(t *testing.T) {
	o := newWireOrigin(t, echoing)
	f := newFrontServedBy(t, guard.Config{}, o.url, time.Second)
	slow := f.trickling(100)
	for _, flood := range []string{
		strings.Repeat("X-Flood: "+strings.Repeat("y", 1000)+"\r\n", 100),
		strings.Repeat("X: y\r\n", 20_000),
		"X-" + strings.Repeat("y", 100_000) + ": z\r\n",
	} {
		c := f.client()
		c.write("GET /endless HTTP/1.1\r\nHost: x\r\n" + flood + "\r\n")
		if resp, _, err := c.read("GET"); err == nil { // otherwise it was cut off while it still wrote
			assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode)
		}
		c.close()
	}
	for i := range 20 {
		require.Eventually(t, func() bool { // a busy machine may be too slow for the time that clients have
			resp, err := http.Get(f.url + fmt.Sprintf("/honest/%d", i))
			if err != nil {
				return false
			}
			defer func() { _ = resp.Body.Close() }()
			_, err = io.Copy(io.Discard, resp.Body)
			return err == nil && resp.StatusCode == http.StatusOK
		}, patience, time.Millisecond)
	}
	slow.Wait()
	for _, r := range o.heard() {
		assert.Regexp(t, "^/honest/", r.RequestURI)
	}
}

// One connection asks for one target after another that nobody has asked for before.
func TestManyTargets(t *testing.T) {
	const (
		room    = 1 << 20
		targets = 100
		size    = 64 << 10 // 12 MiB a round
	)
	content := strings.Repeat("x", size)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Vary", "Accept-Language")
		_, _ = io.WriteString(w, content)
	}))
	t.Cleanup(origin.Close)
	c := newFrontOf(t, guard.Config{Store: cache.NewMemory(room)}, origin.URL).client()
	ask := func(target, language string) *http.Response {
		resp, body := c.ask("GET " + target + " HTTP/1.1\r\nHost: x\r\nAccept-Language: " + language + "\r\n\r\n")
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Len(t, body, size)
		return resp
	}
	round := func(name string) {
		for i := range targets {
			ask(fmt.Sprintf("/x?%s=%d", name, i), "en")
			ask("/y", fmt.Sprint("x-", name, i))
		}
	}
	round("warm")
	before := inUse()
	round("cold")
	assert.Less(t, inUse(), before+8*room, "bytes in use")
	require.Eventually(t, func() bool { return strings.Contains(ask("/z", "en").Header.Get("Cache-Status"), "dlm;hit") }, patience, time.Millisecond,
		"what is asked for again is kept all the same")
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
