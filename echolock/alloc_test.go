//go:build !race

package echolock_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/guard/guardtest"
)

func TestCachedHitAllocatesTheRequestAndTheKey(t *testing.T) {
	require.LessOrEqual(t, guardtest.AllocsPerHit(t, cachedApp(t), "/orders/42"), 2.02)
}
