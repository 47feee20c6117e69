package guard_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or the process that some of them start and kill.
func TestMain(m *testing.M) {
	if nodes := os.Getenv(shopNodes); nodes != "" {
		fmt.Fprintln(os.Stderr, serveShop(nodes))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
