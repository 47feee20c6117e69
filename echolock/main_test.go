package echolock_test

import (
	"testing"

	"go.uber.org/goleak"
)

// A closed go-redis pool whose server is down takes a second to notice.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}
