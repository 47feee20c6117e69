package core

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Releases owed to a node that is away are bounded. Those of keys that have ended
// by themselves make room for those that count.
func TestExpiredDebtsMakeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &node{}
		start := time.Now()
		kept := debt{lock: "long"}
		n.owe(kept, start.Add(time.Hour))
		for i := range maxDebts - 1 {
			n.owe(debt{lock: fmt.Sprint(i)}, start.Add(time.Minute))
		}
		n.owe(debt{lock: "one too many"}, start.Add(time.Hour))
		require.Len(t, n.debts, maxDebts)
		require.NotContains(t, n.debts, debt{lock: "one too many"})

		time.Sleep(time.Minute) // in the bubble
		late := debt{lock: "late"}
		n.owe(late, start.Add(time.Hour))
		require.Len(t, n.debts, 2)
		require.Contains(t, n.debts, kept)
		require.Contains(t, n.debts, late)
		require.EqualValues(t, 2, n.owing.Load())
	})
}
