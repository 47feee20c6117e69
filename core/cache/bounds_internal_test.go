package cache

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/market-intel-brain/dlm/core"
)

// Without the notices that would tell of a purge, memory is believed for as long
// as [Tiered] says, and no longer.
func TestMemoryWithoutNoticesIsBelievedForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewMemory(1 << 20).spaceOf("n")
		s.follow(true)
		s.admit("k", s.mark("k"), nil, "payload", 1)
		current := func() bool {
			payload, current := s.load("k", now())
			if payload == nil {
				t.Error("it stands in while the store cannot be asked")
			}
			return current
		}
		time.Sleep(time.Hour)
		if !current() {
			t.Error("not current although every notice came")
		}
		s.follow(false)
		if current() {
			t.Error("current although a purge may have been missed an hour ago")
		}
		s.admit("k", s.mark("k"), nil, "payload", 1)
		time.Sleep(microcache - 1)
		if !current() {
			t.Error("not current although just read")
		}
		time.Sleep(time.Nanosecond)
		if current() {
			t.Error("current for longer than a second without notices")
		}
		s.admit("k", s.mark("k"), nil, "payload", 1)
		s.follow(true)
		time.Sleep(microcache)
		if current() {
			t.Error("read before the notices came, current for longer than a second")
		}
	})
}

func TestFailingKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New[int](Config{Fresh: time.Hour, RetryAfter: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 * maxCooling {
			c.cool(fmt.Sprint(i), errors.New("boom"))
		}
		if len(c.cooling) != maxCooling {
			t.Errorf("%d keys are remembered as failing", len(c.cooling))
		}
		time.Sleep(time.Hour)
		c.cool("later", errors.New("boom"))
		if len(c.cooling) != 1 || c.coolingOff("later") == nil {
			t.Errorf("%d keys are remembered when all but the last are over", len(c.cooling))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestDebtsAreBounded(t *testing.T) {
	var d debts
	for i := range 2 * maxDebt {
		d.add("shard", purge{keys: []string{fmt.Sprint(i)}, tags: []string{fmt.Sprint(i)}})
	}
	what := d.of("shard")
	if len(what.keys) != maxDebt || len(what.tags) != maxDebt {
		t.Errorf("%d keys and %d tags", len(what.keys), len(what.tags))
	}
	d.paid("shard", what)
	if d.any.Load() || len(d.owed) != 0 {
		t.Error("paid, and owed still")
	}
}

func TestLocalLocksAreForgotten(t *testing.T) {
	var l localLocks
	ctx, leave := context.WithCancel(t.Context())
	leave()
	for i := range 100 {
		name := fmt.Sprint(i)
		free, err := l.acquire(t.Context(), name, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.acquire(t.Context(), name, 0); !errors.Is(err, core.ErrNotAcquired) {
			t.Error("taken, and granted again:", err)
		}
		if _, err := l.acquire(ctx, name, time.Hour); !errors.Is(err, context.Canceled) {
			t.Error("waited for by somebody who has gone:", err)
		}
		free()
	}
	if len(l.known) != 0 {
		t.Errorf("%d locks that nobody holds or waits for", len(l.known))
	}
}
