//go:build unix

package core

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// promises are sentences of the documentation, each with the tests that fail if
// it is not kept. Every sentence of doc.go under "What is promised" is here.
var promises = []struct {
	sentence string
	shownBy  []func(*testing.T)
}{
	// doc.go
	{
		"As long as clocks run at about the same speed ([Config].DriftFactor) and a majority of the nodes keeps its data, at most one holder relies on a key at a time.",
		[]func(*testing.T){TestSoak, TestContendersNeverOverlap, TestNoInterleavingBreaksThePromises, TestWithoutOnePieceAPromiseBreaks, TestTheModelIsWhatTheScriptsDo, TestSequentialEmptyRestarts, TestRenewalsOfDifferentLengthInAnyOrder},
	},
	{
		"A lock is granted by a majority and relied upon for its TTL, less the time that the grant took and the allowance for drift.",
		[]func(*testing.T){TestGrantNeedsMajority, TestAnswersOfMajorityDecide, TestValidityToTheNanosecond, TestGrantLaterThanItsLeaseIsNone, TestTopUpOfBareMajority, TestTopUpWithoutRenewal},
	},
	{
		"[Lock.Context] is cancelled with cause [ErrLost] before anybody else can be granted the key.",
		[]func(*testing.T){TestLossIsToldInTime, TestMaxHoldEndsRenewal, TestReleaseAfterExpiry, TestUnconfirmedShorterLeaseEndsInTime, TestLossToTheNanosecond, TestLeaseLostBetweenTwoTurns},
	},
	{
		"A server that executed a command whose answer was lost is asked again as soon as there is another connection; within NodeTimeout that is a success.",
		[]func(*testing.T){TestLostRepliesAreNoFailures, TestRepliesLostForGood, TestRepeatedReleaseAfterTheLease},
	},
	{
		"No node holds up a call for longer than [Config].NodeTimeout, and a node that stays silent costs neither time nor goroutines.",
		[]func(*testing.T){TestEveryCallIsPunctualInEveryOutage, TestFrozenMinority, TestRoundWaitsOneNodeTimeout, TestDeadMinority, TestFaultyNetwork, TestSilentNodeIsLeftAlone, TestFrozenNodeCostsNoGoroutines, TestDeadNodeForAnHour, TestLogOfDeadNodeIsShort, TestLogOfFlappingNodeIsShort, TestManyCallersOnColdConnections},
	},
	{
		"No call lasts noticeably longer than its wait or its context.",
		[]func(*testing.T){TestEveryCallIsPunctualInEveryOutage, TestDeadlineHoldsInOutage, TestDeadlineHoldsBehindOthersInOutage, TestLastRoundIsOne},
	},
	{
		"A key that nobody owns is removed from every node that can be reached, and from the others when they return; where the process dies, keys end with their TTL.",
		[]func(*testing.T){TestCancelledInFlightLeavesNothing, TestNothingIsAskedAgainAfterItsRelease, TestFrozenMinority, TestForgottenAcquireIsNotRepeatedBehindItsRelease, TestLostRoundIsTakenBackWhereTheReplyWasLost, TestLostRoundIsTakenBackWhereTheMarkerWasLost, TestFaultyNetwork, TestReleaseReachesNodesThatWereCutOff, TestExpiredDebtsMakeRoom, TestRenewResetsAndExtendAdds},
	},
	{
		"A node that may have forgotten locks, because it restarted or was flushed, has no vote until the longest lease in use is over: the longest that any client ever asked for, on which a single [WithTTL] of a day counts for good.",
		[]func(*testing.T){TestForgetfulNodeDoesNotVote, TestQuarantineLastsForTheLongestLeaseInUse, TestQuarantineIsNotThatOfAShortSightedClient, TestRestartWithDataIsQuarantinedToo, TestNoTopUpInQuarantine, TestUptimeOfPromotedReplicaIsNotTrusted},
	},
	{
		"Clients count from when they met the node, by their own clocks.",
		[]func(*testing.T){TestServerClockEndsNoQuarantine, TestQuarantineIsServedInTurns, TestLengthenedQuarantineIsNotOverEarly, TestQuarantineIsNotBegunTwice},
	},
	{
		"How long that lease is, so many other nodes must tell that one of them knows: 2 where there are 3 or 4 in all, 3 where there are 5 or 6, and so on.",
		[]func(*testing.T){TestQuarantineWaitsForThoseWhoKnowTheLongestLease, TestQuarantineIsNotThatOfAShortSightedClient, TestLongerLeaseIsToldUntilTheNodesKnow, TestNodeThatDoesNotKnowOfALongerLeaseDoesNotCount, TestHandOverToALongerLeaseIsTold},
	},
	{
		"While fewer answer, a node that has lost data has no vote either.",
		[]func(*testing.T){TestQuarantineWaitsForThoseWhoKnowTheLongestLease, TestQuarantineIsOverForThoseWhoCannotAsk},
	},
	{
		"A deployment that is new as a whole starts at once.",
		[]func(*testing.T){TestNewDeploymentStartsAtOnce, TestMinorityWithoutMarkersDoesNotStart, TestProcessesFindANewDeploymentTogether},
	},
	{
		"Every lock has a [Lock.FencingToken], greater than that of every lock of the same key before it.",
		[]func(*testing.T){TestTokensNeverStepBack, TestNodesThatAreBehindAreRaised, TestSequentialEmptyRestarts, TestHandOver, TestSoak, TestNoInterleavingBreaksThePromises},
	},
	// Acquire and its kin
	{
		"ErrTimeout (also ErrNotAcquired): the holder kept it. ErrNoQuorum: too few nodes answered.",
		[]func(*testing.T){TestErrorTellsContentionFromOutage, TestNodeErrorsAreKept, TestOutageIsNotDeclaredBeforeTheOthersHaveSpoken, TestForeignTypeIsLeftAlone, TestForgottenScriptsAreInvisible, TestForgottenScriptsUnderLoad},
	},
	{
		"TryAcquire is Acquire without the wait: one round decides.",
		[]func(*testing.T){TestOneRoundTakesOneNodeTimeout, TestOneRoundDoesNotWaitForAnothersPause, TestSharedRoundCutShort},
	},
	{
		"ErrInvalid: an argument was refused before any command was sent.",
		[]func(*testing.T){TestOptionRefusals, TestEmptyKeyIsRefused, TestCancelledBeforehandSendsNothing},
	},
	{
		"ErrDeadlock: waiting would never end, because the caller's own context already runs under the lock, or holds one that its holder waits for.",
		[]func(*testing.T){TestDeadlockOnOneself, TestDeadlockOnOneselfWithoutACaller, TestDeadlockOfSeveral, TestNoDeadlockWithThoseWhoGaveUp},
	},
	// New and Config
	{
		"It fails when the configuration is wrong, naming every mistake, or when one server is named twice; a node that cannot be reached is used as soon as it can be.",
		[]func(*testing.T){TestConfigRefusals, TestSameServerTwice, TestServerOfSeveralNamesHasOneVote, TestNodeDownAtConstruction, TestNewWaitsForNodes, TestPythonURLs, TestEvenNumberIsWarnedAbout},
	},
	{
		"parseNodeURL never repeats the URL in an error: it may hold a password.",
		[]func(*testing.T){TestPasswordStaysSecret, TestPasswordStaysSecretWhenAServerRepeatsIt, TestRedact},
	},
	{
		"A Redis user that may do what a Manager needs and nothing else, for the default prefix, here on Redis 7:",
		[]func(*testing.T){TestLeastPrivilege},
	},
	// The lock
	{
		"Its Err looks at the clock, so a process that was suspended past its lease sees the loss before any timer had a chance to run.",
		[]func(*testing.T){TestSuspendedProcess},
	},
	{
		"ErrExpired: the lease is over, and is not taken again even if the key is free. ErrNotOwner: another owner has the key.",
		[]func(*testing.T){TestRenewAfterTheEnd},
	},
	{
		"ErrNoQuorum: too few nodes answered; the lock is held until the Until it had before.",
		[]func(*testing.T){TestInconclusiveExtendKeepsTheOldLease},
	},
	{
		"Renew resets the lease to ttl, counted from the start of the call.",
		[]func(*testing.T){TestValidityToTheNanosecond, TestRenewResetsAndExtendAdds, TestConcurrentRenewalsAgreeWithTheNodes, TestRenewSetsTheTTLOfLaterRenewals, TestRenewalTakesNoExtensionBack},
	},
	{
		"keeper is the one goroutine that renews, tops up and ends all leases of a Manager.",
		[]func(*testing.T){TestRenewalTakesOneGoroutine, TestThousandRenewedLocksAreCheap, TestForeignTypeEndsOneOfTheLocksRenewedTogether, TestAutoRenewKeepsTheLock, TestForgetfulNodesAreJoinedAgainWithQuorumOnly},
	},
	{
		"WithMaxHold ends the renewal d after the acquisition; the lock is then lost when its lease runs out.",
		[]func(*testing.T){TestMaxHoldEndsRenewal, TestMaxHoldToTheNanosecond},
	},
	{
		"Calling it again, concurrently too, returns the same result.",
		[]func(*testing.T){TestReleaseIsIdempotent, TestReleaseOfNothing, TestRenewalNeverLandsAfterRelease},
	},
	{
		"ErrExpired: the lease had run out before; nobody else's key was touched.",
		[]func(*testing.T){TestReleaseAfterExpiry, TestReleaseOfWhatWasTakenAway, TestReleaseDeletesOnEveryNode},
	},
	{
		"ErrNotReleased: too few nodes confirmed; the release is repeated on those that come back, and the lease ends in any case.",
		[]func(*testing.T){TestReleaseUnconfirmed, TestReleaseReachesNodesThatWereCutOff, TestReleaseOnCancelledContext},
	},
	// The rest of a Manager
	{
		"Inspect describes the lock that a majority of the nodes agree on.",
		[]func(*testing.T){TestInspect},
	},
	{
		"Close releases what is held, ends the waits with ErrClosed and every goroutine; later calls say ErrClosed.",
		[]func(*testing.T){TestCloseReleasesEverything, TestCloseInOutage, TestCloseRacesWithAcquire, TestCloseRacesWithRenewals, TestCloseUnderALock, TestCloseDuringASubscription, TestCloseTakesOneNodeTimeout},
	},
}

// What the documentation says, somebody tests, and what is listed is still said.
func TestEveryPromiseIsShown(t *testing.T) {
	t.Parallel()
	said := map[string]bool{}
	text := comments(t)
	for _, p := range promises {
		require.NotEmpty(t, p.shownBy, p.sentence)
		require.Contains(t, text, p.sentence, "no comment says so any more")
		said[p.sentence] = true
	}
	_, promised, _ := strings.Cut(text, "# What is promised ")
	promised, _, found := strings.Cut(promised, " # What Redlock cannot promise")
	require.True(t, found)
	for sentence := range strings.SplitAfterSeq(promised, ". ") {
		require.True(t, said[strings.TrimSpace(sentence)], "no test is named for: %s", sentence)
	}
}

// comments are the package's, without its tests', as running text.
func comments(t *testing.T) string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var all []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
		require.NoError(t, err)
		for _, group := range file.Comments {
			all = append(all, strings.Fields(group.Text())...)
		}
	}
	return strings.Join(all, " ")
}
