package guard

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a request has a part in is logged as often as it comes, and kept no longer.
func TestMistakesAreBounded(t *testing.T) {
	var m mistakes
	require.True(t, m.first("the program's"))
	require.False(t, m.first("the program's"))
	for i := range 10 * maxMistakes {
		require.True(t, m.first(strings.Repeat("x", i%maxMistakeText)+strings.Repeat("y", i/maxMistakeText+1)))
	}
	require.True(t, m.first(strings.Repeat("z", maxMistakeText+1)))
	require.Len(t, m.told, maxMistakes)
	require.False(t, m.first("the program's"))
}
