//go:build !race

package echolock_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard/guardtest"
)

func TestCachedHitAllocatesTheKey(t *testing.T) {
	require.LessOrEqual(t, guardtest.AllocsPerHit(t, cachedApp(t), "/orders/42"), 1.02)
}
