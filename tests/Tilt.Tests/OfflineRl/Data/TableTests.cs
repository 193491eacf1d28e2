using System.IO.Compression;
using System.Text;
using Tilt.OfflineRl.Data;
using Tilt.Tests.Golden;

namespace Tilt.Tests.OfflineRl.Data;

/// <summary>Tables in text, and arrays of numpy.</summary>
public class TableTests
{
    private const string Header = "observation_0,observation_1,action_0,reward,terminated,truncated\n";

    [Theory]
    [InlineData(",", "\n")]
    [InlineData(";", "\r\n")]
    [InlineData("\t", "\n\n")]
    public void A_table_is_read_whatever_separates_its_cells(string separator, string end)
    {
        var text = (Header + "1,2.5,-0.5,1e-2,0,false\n" + " 3 ,\"4\",0.5,-2,TRUE,0\n" + "5,6,0,0,1.0,1\n")
            .Replace(",", separator)
            .Replace("\n", end);
        using var steps = Read("\ufeff" + text);
        Assert.Equal((3, 2, 1, true), (steps.Count, steps.ObservationSize, steps.ActionSize, steps.HasTruncated));
        Assert.Equal([1, 2.5f], steps.Observation(0).ToArray());
        Assert.Equal([3, 4], steps.Observation(1).ToArray());
        Assert.Equal([0.01f, -2, 0], steps.Rewards.ToArray());
        Assert.Equal([false, true, true], Enumerable.Range(0, 3).Select(steps.Terminated));
        Assert.Equal([false, false, true], Enumerable.Range(0, 3).Select(steps.Truncated));
    }

    [Fact]
    public void Columns_are_found_by_number_not_by_place_and_others_may_hold_anything()
    {
        using var steps = Read(
            "note,obs[1],actions.0,state_0,Reward,next_obs_1,next_obs_0,terminal\nhi,2,3,1,4,6,5,0\n\"a,b\",2,3,1,4,6,5,0\n"
        );
        Assert.Equal([1, 2], steps.Observation(0).ToArray());
        Assert.Equal([5, 6], steps.NextObservation(1).ToArray());
        Assert.False(steps.HasTruncated);
    }

    [Fact]
    public void Chosen_columns_and_episode_numbers_are_understood()
    {
        var fields = new StepFields
        {
            Observations = ["height", "angle"],
            Actions = ["torque"],
            Reward = "r",
            Terminated = "fell",
            Episode = "run",
        };
        using var steps = Read(
            "run,height,angle,torque,r,fell\na,1,2,3,4,0\na,1,2,3,4,1\nb,1,2,3,4,0\nc,1,2,3,4,0\n",
            fields
        );
        Assert.Equal([false, false, true, true], Enumerable.Range(0, 4).Select(steps.Truncated));
        Assert.Equal([2, 1, 1], steps.Episodes().Select(episode => episode.Length));
        var error = Assert.Throws<DataException>(() => Read("run,height\n1,2\n", fields));
        Assert.Equal(("observations", "Check the name."), (error.Field, error.Remedy));
        Assert.Contains(
            "Did you mean 'height'?",
            Assert.Throws<DataException>(() => Read(Header, new() { Actions = ["observation0"] })).Remedy
                + Assert.Throws<DataException>(() => Read("height\n", new() { Observations = ["heigth"] })).Remedy
        );
    }

    [Fact]
    public void Every_bad_cell_is_told_by_row_line_and_column()
    {
        var text = Header + "1,2,3,4,0,0\n\n1,,3,4,0,0\n1,2,x1,4,2,0\n1,2\n1,2,3,4,0,maybe\n";
        var error = Assert.Throws<DataException>(() => Read(text));
        Assert.Equal("row 2 (line 4), column 'observation_1'", error.Field);
        Assert.Equal("nothing", error.Found);
        Assert.Contains("row 3 (line 5), column 'action_0': found 'x1', expected a number", error.Message);
        Assert.Contains("row 3 (line 5), column 'terminated': found '2', expected 0, 1, true or false", error.Message);
        Assert.Contains("row 4 (line 6): found 2 cells, expected 6", error.Message);
        Assert.Contains("row 5 (line 7), column 'truncated': found 'maybe'", error.Message);

        var many = Assert.Throws<DataException>(() =>
            Read(Header + string.Concat(Enumerable.Repeat("1,2,3,y,0,0\n", 100)))
        );
        Assert.Contains("and 80 more", many.Message);
        Assert.Equal(21, many.Message.Split('\n').Length);
    }

    [Theory]
    [InlineData("nan")]
    [InlineData("inf")]
    [InlineData("1e60")]
    public void Numbers_that_are_not_finite_are_told_by_row_and_column(string cell)
    {
        var error = Assert.Throws<DataException>(() => Read(Header + $"1,2,3,4,0,0\n1,2,{cell},4,0,0\n"));
        Assert.Equal("row 2 (line 3), column 'action_0'", error.Field);
    }

    [Theory]
    [InlineData("", "line 1", "an empty file")]
    [InlineData("observation_0,reward,terminated\n1,2,0\n", "actions", "only observation_0, reward, terminated")]
    [InlineData("observation_0,action_0,terminated\n1,2,0\n", "reward", "only")]
    [InlineData("observation_0,action_0,reward\n1,2,0\n", "terminated", "only")]
    [InlineData(
        "observation_0,observation_2,action_0,reward,terminated\n",
        "observation_2",
        "number 2 where 1 comes next"
    )]
    [InlineData("observation_0,obs_0,action_0,reward,terminated\n", "obs_0", "number 0 where 1 comes next")]
    [InlineData("a,a\n", "column 'a'", "2 columns of that name")]
    [InlineData(
        "observation_0,action_0,reward,terminated,next_observation_0,next_obs_1\n",
        "next observations",
        "2 columns"
    )]
    [InlineData("observation_0,action_0,reward,terminated\n", "the rows", "0 rows")]
    public void A_table_without_what_is_needed_says_so(string text, string field, string found)
    {
        var error = Assert.Throws<DataException>(() => Read(text));
        Assert.Contains(field, error.Field);
        Assert.Contains(found, error.Found);
    }

    [Fact]
    public void Lines_longer_than_the_buffer_are_read_whole()
    {
        var names = string.Join(',', Enumerable.Range(0, 40_000).Select(i => $"observation_{i}"));
        var cells = string.Join(',', Enumerable.Range(0, 40_000));
        using var steps = Read($"{names},action_0,reward,terminated\n{cells},1,2,0\n{cells},1,2,0");
        Assert.Equal((2, 40_000), (steps.Count, steps.ObservationSize));
        Assert.Equal(39_999, steps.Observation(1)[39_999]);
    }

    [Fact]
    public void A_table_is_opened_from_a_file_with_a_cache_and_written_as_HDF5()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("log.csv"), Header + "1,2,3,4,0,0\n5,6,7,8,1,0\n");
        using var steps = RecordedSteps.Open(folder.File("log.csv"));
        Assert.Equal(folder.File("log.csv.tilt-cache"), steps.CachePath);
        D4rlFile.Of(steps).Write(folder.File("log.hdf5"));
        using var found = RecordedSteps.Open(folder.File("log.hdf5"));
        SampleSteps.AssertSame(steps, found);
    }

    [Fact]
    public void Matrices_of_numpy_are_read_in_both_orders()
    {
        var npz = Matrices();
        using var steps = Read(npz);
        Assert.Equal(
            (4, 2, 1, true, true),
            (steps.Count, steps.ObservationSize, steps.ActionSize, steps.HasTruncated, steps.HasNextObservations)
        );
        Assert.Equal([3, 4], steps.Observation(1).ToArray());
        Assert.Equal([false, true, false, false], Enumerable.Range(0, 4).Select(steps.Terminated));
        Assert.Equal([false, false, true, false], Enumerable.Range(0, 4).Select(steps.Truncated));
        using var fortran = Read(
            Edit(npz, "observations.npy", text => text.Replace("'fortran_order': False", "'fortran_order': True "))
        );
        Assert.Equal([2, 6], fortran.Observation(1).ToArray());
    }

    [Fact]
    public void Single_arrays_of_numpy_are_columns()
    {
        var npz = new Npz();
        npz.Set("obs_0", new("<f8", [3], [1, 2, 3]));
        npz.Set("obs_1", new("<i4", [3, 1], [4, 5, 6]));
        npz.Set("action_0", new("<f4", [3], [7, 8, 9]));
        npz.Set("reward", new("<i8", [3], [0, 1, 2]));
        npz.Set("terminated", new("|b1", [3], [0, 0, 1]));
        npz.Set("episode", new("<i4", [3], [0, 1, 1]));
        npz.Set("unrelated", new("<f4", [2, 2], [0, 0, 0, 0]));
        using var steps = Read(Bytes(npz));
        Assert.Equal([2, 5], steps.Observation(1).ToArray());
        Assert.Equal([1, 2], steps.Episodes().Select(episode => episode.Length));
        npz.Set("action_0", new("<f4", [2], [7, 8]));
        var error = Assert.Throws<DataException>(() => Read(Bytes(npz)));
        Assert.Equal(("action_0", "2 rows"), (error.Field, error.Found));
    }

    [Theory]
    [InlineData("observations.npy", "'<f4'", "'<i4'", "observations", "int32")]
    [InlineData("observations.npy", "'<f4'", "'|O4'", "observations", "data type |O4")]
    [InlineData("observations.npy", "(4, 2)", "(8,)  ", "observations", "(8,)")]
    [InlineData("observations.npy", "(4, 2)", "(2, 4)", "actions", "4 rows")]
    [InlineData("observations.npy", "(4, 2)", "(9, 9)", "observations", "(9, 9)")]
    [InlineData("rewards.npy", "(4,)", "(9223372036854775807,)", "rewards", "")]
    [InlineData("rewards.npy", "(4,)", "(99999999999999999999,)", "rewards", "")]
    [InlineData("rewards.npy", "'descr'", "'desc'", "rewards", "the header")]
    [InlineData("rewards.npy", "NUMPY", "NUMPI", "rewards", "does not begin")]
    public void Arrays_of_numpy_that_cannot_be_used_are_named(
        string entry,
        string from,
        string to,
        string field,
        string found
    )
    {
        var error = Assert.Throws<DataException>(() => Read(Edit(Matrices(), entry, text => text.Replace(from, to))));
        Assert.Equal(field, error.Field);
        Assert.Contains(found, error.Found);
    }

    [Fact]
    public void A_changed_byte_of_an_archive_is_noticed_by_its_checksum()
    {
        var bytes = Matrices(CompressionLevel.NoCompression);
        var at = bytes.AsSpan().IndexOf(BitConverter.GetBytes(3.0f));
        bytes[at + 1] ^= 4;
        var error = Assert.Throws<DataException>(() => Read(bytes));
        Assert.Contains("CRC-32", error.Found);
    }

    private static byte[] Matrices(CompressionLevel level = CompressionLevel.Optimal)
    {
        var npz = new Npz();
        npz.Set("observations", new("<f4", [4, 2], [1, 2, 3, 4, 5, 6, 7, 8]));
        npz.Set("next_observations", new("<f8", [4, 2], [2, 2, 3, 4, 5, 6, 7, 9]));
        npz.Set("actions", new("<f4", [4, 1], [1, 2, 3, 4]));
        npz.Set("rewards", new("<f4", [4], [1, 2, 3, 4]));
        npz.Set("terminals", new("|b1", [4], [0, 1, 0, 0]));
        npz.Set("timeouts", new("|u1", [4], [0, 0, 1, 0]));
        var bytes = Bytes(npz);
        return level == CompressionLevel.Optimal ? bytes : Edit(bytes, "", text => text, level);
    }

    private static byte[] Bytes(Npz npz)
    {
        using var folder = new TemporaryFolder();
        npz.Write(folder.File("x.npz"));
        return File.ReadAllBytes(folder.File("x.npz"));
    }

    /// <summary>The archive with one entry's text changed, padded or cut to its old length, and sums made right again.</summary>
    private static byte[] Edit(
        byte[] npz,
        string name,
        Func<string, string> change,
        CompressionLevel level = CompressionLevel.Optimal
    )
    {
        using var memory = new MemoryStream();
        using (var from = new ZipArchive(new MemoryStream(npz)))
        using (var to = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var entry in from.Entries)
            {
                using var reader = entry.Open();
                using var content = new MemoryStream();
                reader.CopyTo(content);
                var bytes = content.ToArray();
                if (entry.FullName == name)
                {
                    var header = 10 + BitConverter.ToUInt16(bytes, 8);
                    var text = change(Encoding.Latin1.GetString(bytes, 0, header)).TrimEnd('\n', ' ');
                    Encoding.Latin1.GetBytes(text.PadRight(header - 1) + "\n").CopyTo(bytes, 0);
                }
                using var writer = to.CreateEntry(entry.FullName, level).Open();
                writer.Write(bytes);
            }
        }
        return memory.ToArray();
    }

    private static RecordedSteps Read(string text, StepFields? fields = null) =>
        RecordedSteps.Read(new ByteSource("log.csv", Encoding.UTF8.GetBytes(text)), new() { Fields = fields ?? new() });

    private static RecordedSteps Read(byte[] npz) => RecordedSteps.Read(new ByteSource("log.npz", npz), new());
}
