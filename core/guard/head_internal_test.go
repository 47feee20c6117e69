package guard

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// hesitant answers one Get late.
type hesitant struct {
	cache.Store
	late atomic.Bool
}

func (s *hesitant) Get(ctx context.Context, key string) (cache.Item, error) {
	if s.late.Swap(false) {
		time.Sleep(900 * time.Millisecond)
	}
	return s.Store.Get(ctx, key)
}

// What a HEAD has made new is as old as the HEAD, however long the store took to say
// what that was about.
func TestLifetimeCountsFromTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks, err := core.New(core.Config{Clients: coretest.Piped(t, 1).Clients(), NodeTimeout: time.Minute})
		require.NoError(t, err)
		defer func() { require.NoError(t, locks.Close()) }()
		store := &hesitant{Store: cache.NewMemory(1 << 20)}
		g, err := New(Config{Locks: locks, Store: store, Fresh: time.Hour, Key: func(*http.Request) (string, error) { return "k", nil }})
		require.NoError(t, err)
		defer func() { require.NoError(t, g.Close()) }()
		runs := 0
		ask := func(method string) {
			rec := httptest.NewRecorder()
			require.NoError(t, g.Serve(rec, httptest.NewRequest(method, "/x", nil), func(w http.ResponseWriter, r *http.Request) error {
				runs++
				w.Header().Set("ETag", `"v1"`)
				w.Header().Set("Content-Length", "7")
				w.Header().Set("Cache-Control", "max-age=0")
				if r.Method == http.MethodHead {
					w.Header().Set("Cache-Control", "max-age=2")
					store.late.Store(true)
					return nil
				}
				_, err := io.WriteString(w, "content")
				return err
			}))
			require.Equal(t, http.StatusOK, rec.Code)
		}
		ask(http.MethodGet)
		begun := time.Now()
		ask(http.MethodHead)
		require.False(t, store.late.Load(), "the store was asked")
		time.Sleep(2*time.Second - 10*time.Millisecond - time.Since(begun))
		ask(http.MethodGet)
		require.Equal(t, 2, runs, "good for two seconds")
		time.Sleep(20 * time.Millisecond)
		ask(http.MethodGet)
		require.Equal(t, 3, runs, "and no longer")
	})
}
