package guard

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTimesAndSizesAreForPeople(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "–", 42e-6: "42 µs", 0.0123: "12.3 ms", 1.25: "1.2 s", 59.94: "59.9 s", 83.4: "1m23s", 7322: "2h2m2s",
	} {
		require.Equal(t, want, lapse(seconds))
	}
	for bytes, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1 << 10: "1 KiB", 1536: "1.5 KiB", 25 << 10: "25 KiB", 1 << 20: "1 MiB", 64 << 20: "64 MiB",
		1000 << 20: "1.0 GiB", 3 << 50: "3072 TiB",
	} {
		require.Equal(t, want, size(bytes))
	}
}
