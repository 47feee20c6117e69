//go:build !race

// The race detector drops what is in a sync.Pool now and then, to find those who
// use it after they gave it back.

package guard_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
	"github.com/market-intel-brain/dlm/core/guard/guardtest"
	"github.com/market-intel-brain/dlm/keyfuncs"
)

func TestCachedHitAllocatesNothing(t *testing.T) {
	h, r := warm(t)
	require.LessOrEqual(t, guardtest.AllocsPerHit(t, h, r.URL.String()), 0.02, "one header for the hits of a second, one slab of values for many")
}

// Of a framework's router nothing is left; the template makes its key.
func TestRoutedHitAllocatesTheKey(t *testing.T) {
	g := newGuard(t, guard.Config{Fresh: time.Hour, Store: cache.NewMemory(1 << 20), Key: keyfuncs.MustTemplate("quote_<quote>")})
	require.LessOrEqual(t, guardtest.AllocsPerHit(t, framework{g, bare}, "/quote/1"), 1.02)
}
