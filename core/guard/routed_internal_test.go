package guard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Without it NewRouted is right but slow: whoever sees this fail with a new
// version of Go has to look for another way to tell.
func TestPathValuesOfARequestAreKnown(t *testing.T) { require.GreaterOrEqual(t, valuesField, 0) }
