package guard

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core"
	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/coretest"
)

// process is a Guard with a wall clock of its own.
type process struct {
	*testing.T
	guard *Guard
	set   time.Duration // how far its clock is ahead
	runs  *int
}

// newProcesses share what is behind their memories. The origin's clock is right, and
// what it answers is fresh for a minute, by the field that the query names.
func newProcesses(t *testing.T, n int, cfg Config) []*process {
	locks, err := core.New(core.Config{Clients: coretest.Piped(t, 1).Clients()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, locks.Close()) })
	far, runs := cache.NewMemory(1<<20), new(int)
	all := make([]*process, n)
	for i := range all {
		cfg.Locks, cfg.Store = locks, cache.NewTiered(cache.NewMemory(1<<20), far)
		cfg.Fresh = time.Nanosecond
		cfg.Key = func(*http.Request) (string, error) { return "k", nil }
		g, err := New(cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, g.Close()) })
		p := &process{T: t, guard: g, runs: runs}
		g.now = func() time.Time { return time.Now().Add(p.set) }
		all[i] = p
	}
	return all
}

// get asks for a response and gives the number of the run that made it, and its age
// in seconds.
func (p *process) get(query, cacheControl string) (run, age int) {
	p.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x?"+query, nil)
	if cacheControl != "" {
		r.Header.Set("Cache-Control", cacheControl)
	}
	require.NoError(p, p.guard.Serve(w, r, func(w http.ResponseWriter, _ *http.Request) error {
		*p.runs++
		at := time.Now().UTC()
		h := w.Header()
		h.Set("X-Run", strconv.Itoa(*p.runs))
		switch query {
		case "max-age":
			h.Set("Cache-Control", "max-age=60")
		case "dated":
			h.Set("Cache-Control", "max-age=60")
			h.Set("Date", at.Format(http.TimeFormat))
		case "expires":
			h.Set("Date", at.Format(http.TimeFormat))
			h.Set("Expires", at.Add(time.Minute).Format(http.TimeFormat))
		}
		return nil
	}))
	require.Equal(p, http.StatusOK, w.Code)
	run, err := strconv.Atoi(w.Header().Get("X-Run"))
	require.NoError(p, err)
	if text := w.Header().Get("Age"); text != "" {
		age, err = strconv.Atoi(text)
		require.NoError(p, err)
	}
	return run, age
}

// A wall clock that is set, in the process that fetched or in one that reads what
// that has stored, makes nothing younger and keeps nothing for longer.
func TestWallClockIsSet(t *testing.T) {
	for _, query := range []string{"max-age", "dated", "expires"} {
		for _, step := range []time.Duration{-24 * time.Hour, -30 * time.Second, -time.Second, 24 * time.Hour} {
			t.Run(fmt.Sprint(query, step), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := newProcesses(t, 2, Config{ObeyClient: true})
					made, _ := all[0].get(query, "")
					time.Sleep(20 * time.Second)
					all[0].set, all[1].set = step, -step
					for _, p := range all {
						for range 2 { // from what is shared, then from memory
							run, age := p.get(query, "")
							require.Equal(t, made, run)
							require.Equal(t, 20, age)
						}
						run, _ := p.get(query, "min-fresh=30")
						require.Equal(t, made, run)
					}
					time.Sleep(40 * time.Second)
					for _, p := range []*process{all[1], all[0]} {
						run, _ := p.get(query, "")
						require.Greater(t, run, made, "a minute is over")
					}
				})
			})
		}
	}
}

// What is fetched while the clock is behind the origin's is as old as it is, and what
// is fetched while it is ahead is taken for older, not for younger.
func TestWallClockIsWrong(t *testing.T) {
	for _, query := range []string{"max-age", "dated", "expires"} {
		for _, wrong := range []time.Duration{-24 * time.Hour, -5 * time.Second, 5 * time.Second, 24 * time.Hour} {
			t.Run(fmt.Sprint(query, wrong), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					all := newProcesses(t, 2, Config{})
					all[0].set = wrong
					made, _ := all[0].get(query, "")
					all[0].set = 0
					time.Sleep(20 * time.Second)
					ahead := time.Duration(0)
					if query != "max-age" {
						ahead = max(0, wrong)
					}
					for _, p := range all {
						run, age := p.get(query, "")
						if 20*time.Second+ahead >= time.Minute {
							require.Greater(t, run, made)
							break
						}
						require.Equal(t, made, run)
						require.InDelta(t, (20*time.Second + ahead).Seconds(), age, 1)
					}
					time.Sleep(time.Minute)
					run, _ := all[1].get(query, "")
					require.Greater(t, run, made)
				})
			})
		}
	}
}

// A clock that is set while a validation is under way neither keeps nor loses what
// was confirmed.
func TestWallClockIsSetDuringAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProcesses(t, 1, Config{})[0]
		ask := func(step time.Duration) (code int, age string) {
			w := httptest.NewRecorder()
			require.NoError(t, p.guard.Serve(w, httptest.NewRequest(http.MethodGet, "/x", nil), func(w http.ResponseWriter, r *http.Request) error {
				*p.runs++
				p.set += step
				w.Header().Set("Age", "10")
				w.Header().Set("ETag", `"v1"`)
				w.Header().Set("Cache-Control", "max-age=60")
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
				}
				return nil
			}))
			return w.Code, w.Header().Get("Age")
		}
		for want := 1; want <= 4; want++ {
			code, _ := ask(-time.Hour)
			require.Equal(t, http.StatusOK, code)
			require.Equal(t, want, *p.runs)
			time.Sleep(49 * time.Second)
			_, age := ask(0)
			require.Equal(t, "59", age)
			require.Equal(t, want, *p.runs)
			time.Sleep(time.Second)
		}
	})
}
