using Tilt.OfflineRl.Data;

namespace Tilt.Tests.OfflineRl.Data;

public class D4rlFileTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(9)]
    public void What_is_written_is_read_back_to_the_bit(int level)
    {
        using var folder = new TemporaryFolder();
        using var steps = SampleSteps.Make(count: 10_007, observationSize: 11, actionSize: 3);
        var path = folder.File("own data – ü/hopper.hdf5");
        var file = new D4rlFile { Level = level };
        Copy(steps, file).Write(path);

        using var found = RecordedSteps.Open(path);
        SampleSteps.AssertSame(steps, found);
    }

    [Fact]
    public void Recorded_steps_can_be_written_again_with_their_successors()
    {
        using var folder = new TemporaryFolder();
        using var steps = SampleSteps.Make(next: true);
        D4rlFile.Of(steps).Write(folder.File("x.hdf5"));

        using var found = RecordedSteps.Open(
            folder.File("x.hdf5"),
            new() { Fields = new() { NextObservations = ["next_observations"] } }
        );
        Assert.True(found.HasNextObservations);
        SampleSteps.AssertSame(steps, found);
    }

    [Fact]
    public void H5py_reads_what_is_written_as_D4RLs_files_are_read()
    {
        using var folder = new TemporaryFolder();
        using var steps = SampleSteps.Make(count: 30_011, observationSize: 5);
        var path = folder.File("mäde by tilt.hdf5");
        D4rlFile
            .Of(steps)
            .Add("infos/qpos", [.. Enumerable.Range(0, 2 * steps.Count).Select(i => i / 3.0)], 2)
            .Add("metadata/algorithm", "SAC")
            .Add("metadata/policy/fc0/weight", SampleSteps.Numbers(6, 0.5f), 3)
            .Add("metadata/iteration", 7)
            .Describe("made_by", "Tilt")
            .Describe("note", "größer als ASCII")
            .Write(path);

        var printed = PythonH5.Run(
            """
            import h5py, numpy, sys
            with h5py.File(sys.argv[1], 'r') as f:
                o, a, r = f['observations'], f['actions'], f['rewards']
                i = numpy.arange
                assert o.dtype == a.dtype == r.dtype == numpy.float32
                assert o.shape == (30011, 5) and a.shape == (30011, 2) and r.shape == (30011,)
                assert o.chunks[1] == 5 and o.chunks[0] < 30011 and o.compression == 'gzip'
                one = lambda n, s: ((i(n, dtype=numpy.float32) + 1) * numpy.float32(s))
                assert (o[()] == one(5 * 30011, 0.25).reshape(-1, 5)).all()
                assert (a[()] == one(2 * 30011, -0.001).reshape(-1, 2)).all()
                assert (r[()] == one(30011, 1.5)).all()
                assert f['terminals'].dtype == bool and f['timeouts'].dtype == bool
                assert (f['terminals'][()] == (i(30011) % 10 == 4)).all()
                assert (f['timeouts'][()] == (i(30011) % 10 == 9)).all()
                assert f['infos/qpos'].dtype == numpy.float64
                assert (f['infos/qpos'][()] == (i(2 * 30011) / 3).reshape(-1, 2)).all()
                assert f['metadata/algorithm'][()] == b'SAC', f['metadata/algorithm'][()]
                assert f['metadata/iteration'][()] == 7
                assert f['metadata/policy/fc0/weight'].shape == (2, 3)
                print(f.attrs['made_by'] if isinstance(f.attrs['made_by'], str) else f.attrs['made_by'].decode())
                print(f.attrs['note'] if isinstance(f.attrs['note'], str) else f.attrs['note'].decode())
            """,
            path
        );
        Assert.Equal(["Tilt", "größer als ASCII"], printed.Split('\n'));
    }

    [Fact]
    public void Missing_and_unequal_arrays_are_refused_before_anything_is_written()
    {
        using var folder = new TemporaryFolder();
        using var steps = SampleSteps.Make();
        var missing = Assert.Throws<DataException>(() =>
            new D4rlFile().Add("observations", [1f, 2], 1).Write(folder.File("a.hdf5"))
        );
        Assert.Equal("actions", missing.Field);
        var unequal = Assert.Throws<DataException>(() =>
            D4rlFile.Of(steps).Add("infos/goal", [1f, 2], 1).Write(folder.File("a.hdf5"))
        );
        Assert.Equal(("infos/goal", "2 rows"), (unequal.Field, unequal.Found));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public void A_place_that_cannot_be_written_is_named()
    {
        using var folder = new TemporaryFolder();
        using var steps = SampleSteps.Make();
        File.WriteAllText(folder.File("file"), "");
        var error = Assert.Throws<DataException>(() => D4rlFile.Of(steps).Write(folder.File("file/x.hdf5")));
        Assert.Equal(folder.File("file/x.hdf5"), error.File);
    }

    private static D4rlFile Copy(RecordedSteps steps, D4rlFile file)
    {
        var observations = new float[steps.Count * steps.ObservationSize];
        var actions = new float[steps.Count * steps.ActionSize];
        for (var i = 0; i < steps.Count; i++)
        {
            steps.Observation(i).CopyTo(observations.AsSpan(i * steps.ObservationSize));
            steps.Action(i).CopyTo(actions.AsSpan(i * steps.ActionSize));
        }
        return file.Add("observations", observations, steps.ObservationSize)
            .Add("actions", actions, steps.ActionSize)
            .Add("rewards", steps.Rewards.ToArray())
            .Add("terminals", [.. Enumerable.Range(0, steps.Count).Select(steps.Terminated)])
            .Add("timeouts", [.. Enumerable.Range(0, steps.Count).Select(steps.Truncated)]);
    }
}
