using System.Runtime.Versioning;
using System.Security.Cryptography;
using Tilt.OfflineRl.Data;

namespace Tilt.Tests.OfflineRl.Data;

public class RecordedStepsTests
{
    [Fact]
    public void The_cache_is_built_once_and_mapped_from_then_on()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("data with spaces – Ünïcode 数据.hdf5");
        using var steps = SampleSteps.Make();
        D4rlFile.Of(steps).Write(path);

        using var first = RecordedSteps.Open(path);
        Assert.Equal(path + ".tilt-cache", first.CachePath);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path))), first.Sha256);
        var built = File.GetLastWriteTimeUtc(first.CachePath!);
        var inode = File.ReadAllBytes(first.CachePath!);

        using var second = RecordedSteps.Open(path);
        Assert.Equal(built, File.GetLastWriteTimeUtc(second.CachePath!));
        Assert.Equal(inode, File.ReadAllBytes(second.CachePath!));
        SampleSteps.AssertSame(steps, first);
        SampleSteps.AssertSame(steps, second);
        Assert.Equal(2, Directory.EnumerateFiles(folder.Path).Count());
    }

    [Fact]
    public void A_file_that_changed_after_its_cache_was_built_is_read_anew()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("x.hdf5");
        using var old = SampleSteps.Make(count: 23);
        using var changed = SampleSteps.Make(count: 40);
        D4rlFile.Of(old).Write(path);
        var time = File.GetLastWriteTimeUtc(path);
        using var before = RecordedSteps.Open(path);
        D4rlFile.Of(changed).Write(path);
        // Even one that hides its change from the clock.
        File.SetLastWriteTimeUtc(path, time);

        using var after = RecordedSteps.Open(path);
        SampleSteps.AssertSame(changed, after);
        // Whoever holds the old cache keeps what it mapped.
        SampleSteps.AssertSame(old, before);
    }

    [Theory]
    [InlineData("cut short")]
    [InlineData("a bit of its header")]
    [InlineData("empty")]
    [InlineData("another file's")]
    public void A_damaged_cache_is_built_anew(string damage)
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("x.hdf5");
        using var steps = SampleSteps.Make();
        D4rlFile.Of(steps).Write(path);
        RecordedSteps.Open(path).Dispose();
        var cache = path + ".tilt-cache";
        var bytes = File.ReadAllBytes(cache);
        bytes[40] ^= damage == "a bit of its header" ? (byte)1 : (byte)0;
        File.WriteAllBytes(
            cache,
            damage switch
            {
                "cut short" => bytes[..^9],
                "empty" => [],
                _ => bytes,
            }
        );
        if (damage == "another file's")
        {
            using var other = SampleSteps.Make(count: 31);
            D4rlFile.Of(other).Write(folder.File("y.hdf5"));
            RecordedSteps.Open(folder.File("y.hdf5")).Dispose();
            File.Copy(folder.File("y.hdf5.tilt-cache"), cache, overwrite: true);
        }
        using var found = RecordedSteps.Open(path);
        SampleSteps.AssertSame(steps, found);
        Assert.Equal(cache, found.CachePath);
    }

    [Fact]
    public void Steps_read_by_other_names_have_a_cache_of_their_own()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("x.hdf5");
        using var steps = SampleSteps.Make();
        D4rlFile.Of(steps).Add("other/actions", SampleSteps.Numbers(23, 7), 1).Write(path);
        using var usual = RecordedSteps.Open(path);
        using var chosen = RecordedSteps.Open(path, new() { Fields = new() { Actions = ["other/actions"] } });
        Assert.Equal((2, 1), (usual.ActionSize, chosen.ActionSize));
        Assert.Equal(7, chosen.Action(0)[0]);
        Assert.NotEqual(usual.CachePath, chosen.CachePath);
        using var again = RecordedSteps.Open(path);
        SampleSteps.AssertSame(usual, again);
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public void Where_the_folder_cannot_be_written_the_cache_goes_elsewhere_or_the_data_stay_in_memory()
    {
        using var folder = new TemporaryFolder();
        using var steps = SampleSteps.Make();
        var path = folder.File("x.hdf5");
        D4rlFile.Of(steps).Write(path);
        File.SetUnixFileMode(folder.Path, (UnixFileMode)0b101_101_101);
        File.SetUnixFileMode(path, (UnixFileMode)0b100_100_100);
        OneThreadAsNobody.Run(() =>
        {
            using var found = RecordedSteps.Open(path);
            Assert.NotEqual(path + ".tilt-cache", found.CachePath);
            SampleSteps.AssertSame(steps, found);
        });
        File.SetUnixFileMode(folder.Path, (UnixFileMode)0b111_101_101);
        Assert.Equal([path], Directory.EnumerateFiles(folder.Path));
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public void A_file_without_the_right_to_read_it_is_refused_with_the_remedy()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File("secret.hdf5");
        using (var steps = SampleSteps.Make())
        {
            D4rlFile.Of(steps).Write(path);
        }
        File.SetUnixFileMode(path, UnixFileMode.None);
        OneThreadAsNobody.Run(() =>
        {
            // Honest only if the system itself refuses this thread, as it does not refuse root.
            Assert.False(OneThreadAsNobody.CanRead(path));
            var error = Assert.Throws<DataException>(() => RecordedSteps.Open(path));
            Assert.Equal((path, "the file's permissions"), (error.File, error.Field));
            Assert.Contains("chmod +r", error.Remedy);
        });
    }

    [Fact]
    public void Files_that_are_no_data_are_refused_whatever_they_are()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(3);
        var noise = new byte[100_000];
        random.NextBytes(noise);
        foreach (
            var (name, bytes) in new (string, byte[])[]
            {
                ("empty", []),
                ("encrypted", noise),
                ("zeros", new byte[5000]),
            }
        )
        {
            foreach (var extension in new[] { ".hdf5", ".csv", ".npz", "" })
            {
                var path = folder.File(name + extension);
                File.WriteAllBytes(path, bytes);
                var error = Assert.Throws<DataException>(() => RecordedSteps.Open(path));
                Assert.Equal(path, error.File);
            }
        }
        Assert.Contains("a folder", Assert.Throws<DataException>(() => RecordedSteps.Open(folder.Path)).Found);
        var missing = Assert.Throws<DataException>(() => RecordedSteps.Open(folder.File("empti.csv")));
        Assert.Contains("Did you mean 'empty.csv'?", missing.Remedy);
        Assert.Contains(
            "no folder",
            Assert.Throws<DataException>(() => RecordedSteps.Open(folder.File("no/where.csv"))).Remedy
        );
        Assert.DoesNotContain(Directory.EnumerateFiles(folder.Path), file => file.Contains("cache"));
    }

    [Fact]
    public void Sizes_that_overflow_are_refused_before_memory_is_taken()
    {
        var golden = File.ReadAllBytes(D4rlGolden.PathOf("v0_no_timeouts.hdf5"));
        var refused = 0;
        // Every 8-byte field that holds the number of rows is, in turn, made absurd.
        for (var at = 0; at + 8 <= golden.Length; at++)
        {
            if (BitConverter.ToInt64(golden, at) != 83)
            {
                continue;
            }
            foreach (var absurd in new[] { long.MaxValue, long.MinValue, -1, 1L << 61, (1L << 32) + 83, 1L << 31, 84 })
            {
                var bytes = golden.ToArray();
                BitConverter.TryWriteBytes(bytes.AsSpan(at), absurd);
                var before = GC.GetAllocatedBytesForCurrentThread();
                try
                {
                    RecordedSteps.Read(new ByteSource("patched", bytes), new() { Workers = 1 }).Dispose();
                }
                catch (DataException)
                {
                    refused++;
                }
                Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000);
            }
        }
        Assert.InRange(refused, 4 * 7, int.MaxValue);
    }

    [Theory]
    [InlineData("optional_libver_latest.hdf5")]
    [InlineData("v0_no_timeouts.hdf5")]
    public void A_file_cut_anywhere_is_refused(string file)
    {
        var golden = File.ReadAllBytes(D4rlGolden.PathOf(file));
        for (var length = 0; length < golden.Length; length += length < 1200 ? 1 : 37)
        {
            var source = new ByteSource("cut.hdf5", golden.AsMemory(0, length));
            Assert.Throws<DataException>(() => RecordedSteps.Read(source, new() { Workers = 1 }));
        }
        RecordedSteps.Read(new ByteSource("whole.hdf5", golden), new() { Workers = 1 }).Dispose();
    }

    [Fact]
    public void Data_of_another_task_are_refused_by_their_sizes()
    {
        using var steps = SampleSteps.Make(observationSize: 11, actionSize: 3);
        steps.ExpectSizes("hopper", 11, 3);
        var observations = Assert.Throws<DataException>(() => steps.ExpectSizes("walker2d", 17, 6));
        Assert.Equal(("observations", "11 dimensions"), (observations.Field, observations.Found));
        Assert.Contains("17, as the task walker2d has", observations.Expected);
        Assert.Equal("actions", Assert.Throws<DataException>(() => steps.ExpectSizes("x", 11, 4)).Field);
    }

    [Fact]
    public void Arrays_from_memory_have_to_agree_and_be_finite()
    {
        Assert.Throws<DataException>(() => RecordedSteps.FromArrays([1, 2, 3], [1, 2], [1, 2], [true, false]));
        Assert.Throws<DataException>(() => RecordedSteps.FromArrays([1, 2], [1, 2], [1, 2], [true]));
        Assert.Throws<DataException>(() => RecordedSteps.FromArrays([1, 2], [1, 2], [1, 2], [true, false], [true]));
        Assert.Throws<DataException>(() => RecordedSteps.FromArrays([], [], [], []));
        var error = Assert.Throws<DataException>(() =>
            RecordedSteps.FromArrays([1, 2], [1, float.NaN], [1, 2], [true, false])
        );
        Assert.Equal("actions[1, 0]", error.Field);
    }

    [Fact]
    public void The_fix_for_antmaze_medium_play_undoes_goals_that_are_none()
    {
        float[] observations = [20.5f, 20.1f, 19, 21, 21, 19.0f, 0, 0, 20, 20];
        using var steps = RecordedSteps.FromArrays(
            observations,
            new float[5],
            [1, 1, 1, 1, 0],
            [true, true, true, true, false],
            new bool[5]
        );
        using var repaired = steps.WithAntMazeMediumPlayFix();
        Assert.Equal([1, 0, 0, 0, 0], repaired.Rewards.ToArray());
        Assert.Equal([true, false, false, false, false], Enumerable.Range(0, 5).Select(repaired.Terminated));
        Assert.Equal([1, 1, 1, 1, 0], steps.Rewards.ToArray());
        steps.Dispose();
        Assert.Equal(20.5f, repaired.Observation(0)[0]);
    }

    [Fact]
    public void Steps_that_were_given_back_cannot_be_read()
    {
        var steps = SampleSteps.Make();
        steps.Dispose();
        Assert.Throws<ObjectDisposedException>(() => steps.Observation(0).Length);
        using var open = SampleSteps.Make(count: 5);
        Assert.Throws<ArgumentOutOfRangeException>(() => open.Observation(5).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => open.Action(-1).Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => open.NextObservation(0).Length);
    }

    [Fact]
    public void Threads_that_decode_change_nothing()
    {
        var path = D4rlGolden.PathOf("multichunk_gzip.hdf5");
        using var one = RecordedSteps.Open(path, new() { Cache = false, Workers = 1 });
        using var four = RecordedSteps.Open(path, new() { Cache = false, Workers = 4 });
        SampleSteps.AssertSame(one, four);
        var error = Assert.Throws<DataException>(() =>
            RecordedSteps.Open(D4rlGolden.PathOf("bad_corrupt_adler.hdf5"), new() { Cache = false, Workers = 4 })
        );
        Assert.Equal("observations", error.Field);
    }

    [Fact]
    public void An_inspection_may_read_what_is_not_finite()
    {
        var options = new OpenOptions { ExpectFinite = false };
        using var steps = RecordedSteps.Open(D4rlGolden.PathOf("bad_nan_rewards.hdf5"), options);
        Assert.Null(steps.CachePath);
        Assert.Equal(2, steps.Rewards.ToArray().Count(float.IsNaN));
    }
}
