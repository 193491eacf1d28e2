using Tilt.OfflineRl.Data;

namespace Tilt.Tests.OfflineRl.Data;

/// <summary>Small made-up recordings.</summary>
internal static class SampleSteps
{
    /// <summary>Steps whose every number is different, with an end after every fifth step: terminated and cut off in turn.</summary>
    public static RecordedSteps Make(int count = 23, int observationSize = 3, int actionSize = 2, bool next = false)
    {
        var observations = Numbers(count * observationSize, 0.25f);
        return RecordedSteps.FromArrays(
            observations,
            Numbers(count * actionSize, -0.001f),
            Numbers(count, 1.5f),
            [.. Enumerable.Range(0, count).Select(i => i % 10 == 4)],
            [.. Enumerable.Range(0, count).Select(i => i % 10 == 9)],
            next ? Numbers(count * observationSize, 0.125f) : []
        );
    }

    public static float[] Numbers(int count, float scale) =>
        [.. Enumerable.Range(0, count).Select(i => (i + 1) * scale)];

    public static void AssertSame(RecordedSteps expected, RecordedSteps found)
    {
        Assert.Equal(
            (expected.Count, expected.ObservationSize, expected.ActionSize, expected.HasTruncated),
            (found.Count, found.ObservationSize, found.ActionSize, found.HasTruncated)
        );
        Assert.Equal(expected.Rewards.ToArray(), found.Rewards.ToArray());
        for (var i = 0; i < expected.Count; i++)
        {
            Assert.Equal(expected.Observation(i).ToArray(), found.Observation(i).ToArray());
            Assert.Equal(expected.Action(i).ToArray(), found.Action(i).ToArray());
            Assert.Equal((expected.Terminated(i), expected.Truncated(i)), (found.Terminated(i), found.Truncated(i)));
            if (expected.HasNextObservations && found.HasNextObservations)
            {
                Assert.Equal(expected.NextObservation(i).ToArray(), found.NextObservation(i).ToArray());
            }
        }
    }
}
