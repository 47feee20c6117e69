package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// dividedStore has a key on the server that its first letter names, and those do
// not answer whose names are in silent.
type dividedStore struct {
	Store

	mu     sync.Mutex
	silent map[string]bool // guarded by mu
	asked  map[string]int  // guarded by mu
}

func (s *dividedStore) serverFor(key string) string { return key[:1] }
func (s *dividedStore) reroute()                    {}

func (s *dividedStore) reach(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		s.mu.Lock()
		s.asked[key[:1]]++
		silent := s.silent[key[:1]]
		s.mu.Unlock()
		if silent {
			<-ctx.Done()
			return ctx.Err()
		}
	}
	return nil
}

func (s *dividedStore) Get(ctx context.Context, key string) (Item, error) {
	return Item{}, s.reach(ctx, key)
}
func (s *dividedStore) Delete(ctx context.Context, keys ...string) error {
	return s.reach(ctx, keys...)
}

func (s *dividedStore) attempts(server string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[server]
}

func (s *dividedStore) recover(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.silent, server)
}

// A server that does not answer is left alone, and no other for its sake.
func TestOneServersSilenceIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &dividedStore{silent: map[string]bool{"a": true}, asked: map[string]int{}}
		b := newBoundStore(s, time.Second/10, slog.New(slog.DiscardHandler))
		get := func(key string) error { _, err := b.get(t.Context(), key); return err }
		leftAlone := func(err error) bool { return err != nil && strings.Contains(err.Error(), "left alone") }
		for i := range maxSilent {
			if err := get(fmt.Sprint("a", i)); !errors.Is(err, ErrStore) || leftAlone(err) {
				t.Fatal(err)
			}
			if err := get("b"); err != nil {
				t.Fatal("an answer between two timeouts of another server:", err)
			}
		}
		begun := time.Now()
		for range 100 {
			if err := get("a"); !leftAlone(err) {
				t.Fatal(err)
			}
			if err := get("b"); err != nil {
				t.Fatal(err)
			}
			if err := b.delete(t.Context(), "b1", "b2"); err != nil {
				t.Fatal(err)
			}
			if err := b.delete(t.Context(), "a1"); !leftAlone(err) {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took != 0 {
			t.Error("waited for", took)
		}
		for i := range maxSilent {
			if err := b.delete(t.Context(), "a1", "b1"); leftAlone(err) {
				t.Fatal("what concerns several servers counts for itself:", i, err)
			}
		}
		if err := b.delete(t.Context(), "b1", "a1"); !leftAlone(err) {
			t.Fatal(err)
		}
		before := s.attempts("a")
		time.Sleep(silencePause)
		for range 10 {
			_ = get("a")
		}
		if n := s.attempts("a") - before; n != 1 {
			t.Errorf("%d attempts in a pause", n)
		}
		s.recover("a")
		time.Sleep(silencePause)
		for range 10 {
			if err := get("a"); err != nil {
				t.Fatal("it answers again:", err)
			}
		}
	})
}

// A server that is slow to answer takes up the room of no other.
func TestSlowServerHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &dividedStore{silent: map[string]bool{"a": true}, asked: map[string]int{}}
		b := newBoundStore(s, time.Minute, slog.New(slog.DiscardHandler))
		var callers sync.WaitGroup
		for range 2 * maxPending {
			callers.Go(func() { _, _ = b.get(t.Context(), "a") })
		}
		synctest.Wait()
		if n := s.attempts("a"); n != maxPending {
			t.Errorf("%d operations under way on one server", n)
		}
		begun := time.Now()
		if _, err := b.get(t.Context(), "b"); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 0 {
			t.Error("waited for", took)
		}
		callers.Wait()
	})
}

// Waiting for one's turn says nothing of the server.
func TestServerThatWasNotAskedIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &dividedStore{asked: map[string]int{}}
		b := newBoundStore(s, time.Second/10, slog.New(slog.DiscardHandler))
		for range maxPending {
			b.slots.of("b") <- struct{}{}
		}
		for range 2 * maxSilent {
			if _, err := b.get(t.Context(), "b"); !errors.Is(err, ErrStore) || !strings.Contains(err.Error(), "under way") {
				t.Fatal(err)
			}
		}
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, err := b.get(ctx, "b"); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if n := s.attempts("b"); n != 0 {
			t.Fatalf("asked %d times", n)
		}
		<-b.slots.of("b")
		if _, err := b.get(t.Context(), "b"); err != nil {
			t.Fatal("left alone though it was never asked:", err)
		}
	})
}

func TestRememberedServersAreBounded(t *testing.T) {
	var (
		s silence
		c clocks
		p slots
	)
	for i := range 3 * maxServers {
		server := fmt.Sprint(i)
		s.timedOut(server)
		c.learn(server, reading{})
		p.of(server)
	}
	if len(s.streaks) > maxServers || len(c.last) > maxServers || len(p.byServer) > maxServers {
		t.Errorf("%d streaks, %d clocks and %d slots are remembered", len(s.streaks), len(c.last), len(p.byServer))
	}
}

// An attempt takes as long as an answer may: where that is as long as the pause,
// one request would make attempt after attempt otherwise, and wait for each.
func TestPauseBeginsWhenTheAttemptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &dividedStore{silent: map[string]bool{"a": true}, asked: map[string]int{}}
		b := newBoundStore(s, silencePause, slog.New(slog.DiscardHandler))
		for range maxSilent {
			_, _ = b.get(t.Context(), "a")
		}
		time.Sleep(silencePause)
		for range 3 { // what one miss asks
			_, _ = b.get(t.Context(), "a")
		}
		if attempts := s.attempts("a"); attempts != maxSilent+1 {
			t.Fatalf("%d attempts behind one pause", attempts-maxSilent)
		}
	})
}
