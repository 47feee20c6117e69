package guard_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/nethttplock"
)

// ledger is a log of everything, as text, and how often it was written to.
type ledger struct {
	slog.Handler
	mu    *sync.Mutex
	text  *bytes.Buffer // guarded by mu
	lines *int          // guarded by mu
}

func newLedger() ledger {
	l := ledger{mu: new(sync.Mutex), text: new(bytes.Buffer), lines: new(int)}
	l.Handler = slog.NewTextHandler(l.text, &slog.HandlerOptions{Level: slog.LevelDebug})
	return l
}

func (l ledger) Handle(ctx context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	*l.lines++
	return l.Handler.Handle(ctx, r)
}

// requireHarmless finds as many lines as were written, all of them printable.
func (l ledger) requireHarmless(t *testing.T, key string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	require.NotZero(t, *l.lines, "%q", key)
	require.Equal(t, *l.lines, strings.Count(text, "\n"), "%q: %s", key, text)
	for _, c := range text {
		require.True(t, c == '\n' || unicode.IsPrint(c), "%q: %q", key, text)
	}
}

// pathKey is a key of any bytes a client likes.
func pathKey(r *http.Request) (string, error) {
	return url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), "/"))
}

// Whatever a client makes a key of, it does not write a line of the log, or to
// the terminal of who reads it.
func TestLogHoldsNoRawBytes(t *testing.T) {
	locks := newLocks(t)
	for _, key := range []string{"a\r\nlevel=ERROR msg=forged", "\x1b[31mred", "\x00", "\xff\xfe", "\u2028", "\u202e", "\x7f", "\u0085", "\"quoted\"", "%0a"} {
		log := newLedger()
		provoke(t, locks, log, "/"+url.PathEscape(key))
		log.requireHarmless(t, key)
	}
}

// provoke makes a Guard say all that it says of a request: a mistake in the key
// function, a deadlock, a refresh that panics, and locks that are out of reach.
func provoke(t *testing.T, locks *core.Manager, log ledger, path string) {
	t.Helper()
	logger := slog.New(log)
	get := func(cfg guard.Config, next http.HandlerFunc) {
		t.Helper()
		if cfg.Locks == nil {
			cfg.Locks = locks
		}
		if cfg.Key == nil {
			cfg.Key = pathKey
		}
		cfg.Logger, cfg.Namespace = logger, path
		g, err := guard.New(cfg)
		require.NoError(t, err)
		server := httptest.NewServer(nethttplock.Wrap(g, next))
		defer server.Close()
		for range 2 {
			resp, err := server.Client().Get(server.URL + path)
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		require.NoError(t, g.Close())
	}
	get(guard.Config{Key: func(r *http.Request) (string, error) {
		key, err := pathKey(r)
		return "", errors.Join(mistaken(key), err)
	}}, unreached)
	get(guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20)}, func(w http.ResponseWriter, r *http.Request) {
		if guard.IsRefresh(r.Context()) {
			panic(r.URL.Path)
		}
		w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=60")
	})
	lonely, err := core.New(core.Config{Nodes: []string{"redis://127.0.0.1:1"}, NodeTimeout: 20 * time.Millisecond, Logger: logger})
	require.NoError(t, err)
	defer func() { require.NoError(t, lonely.Close()) }()
	get(guard.Config{Locks: lonely, Fresh: time.Hour, Store: cache.NewMemory(1 << 20)}, func(http.ResponseWriter, *http.Request) {})
}

// mistaken is a mistake in the program that repeats what it was given.
type mistaken string

func (m mistaken) Error() string { return "no key for " + string(m) }
func (mistaken) HTTPStatus() int { return http.StatusInternalServerError }

func unreached(http.ResponseWriter, *http.Request) {}
