package core

import (
	_ "embed"

	"github.com/market-intel-brain/dlm/core/internal/wire"
)

var (
	//go:embed lua/acquire.lua
	acquireSource string
	//go:embed lua/raise.lua
	raiseSource string
	//go:embed lua/release.lua
	releaseSource string
	//go:embed lua/releasejoint.lua
	releaseJointSource string
	//go:embed lua/renew.lua
	renewSource string
	//go:embed lua/inspect.lua
	inspectSource string
	//go:embed lua/meet.lua
	meetSource string
	//go:embed lua/attest.lua
	attestSource string
)

var (
	acquireScript = wire.NewScript(acquireSource)
	raiseScript   = wire.NewScript(raiseSource)
	releaseScript = wire.NewJointScript(releaseSource, releaseJointSource)
	renewScript   = wire.NewScript(renewSource)
	inspectScript = wire.NewScript(inspectSource)
	meetScript    = wire.NewScript(meetSource)
	attestScript  = wire.NewScript(attestSource)
)

// hotScripts are loaded on every new connection, so that the first lock on it
// needs no second round trip.
var hotScripts = []*wire.Script{acquireScript, releaseScript, releaseScript.Joint(), renewScript, raiseScript, inspectScript}
