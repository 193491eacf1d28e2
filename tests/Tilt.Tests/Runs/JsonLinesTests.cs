using System.Text.Json.Nodes;
using Tilt.Runs;

namespace Tilt.Tests.Runs;

public class JsonLinesTests
{
    [Fact]
    public void A_resumed_log_shows_every_step_once_and_keeps_what_was_written()
    {
        using var temporary = new TemporaryFolder();
        var path = temporary.File("metrics.jsonl");
        using (var log = new JsonLines(path))
        {
            Append(log, 10, 1);
            Append(log, 20, 2);
            Append(log, 30, 3);
        }
        var before = File.ReadAllText(path);
        using (var log = new JsonLines(path))
        {
            log.MarkResume(15);
            Append(log, 20, 2.5);
            Append(log, 30, 3.5);
        }

        Assert.StartsWith(before, File.ReadAllText(path));
        Assert.Equal([(10, 1.0), (20, 2.5), (30, 3.5)], Values(path));
        using (var log = new JsonLines(path))
        {
            log.MarkResume(25);
            Assert.Equal([(10, 1.0), (20, 2.5)], Values(path));
        }
    }

    [Theory]
    [InlineData("{\"step\":30,\"lo", 2)]
    [InlineData("{\"step\":30", 2)]
    [InlineData("{\"step\":30,\"loss\":3}", 3)]
    [InlineData("{", 2)]
    [InlineData("{\"st\n{\"cu", 2)]
    public void A_line_cut_off_by_a_crash_is_passed_over(string rest, int whole)
    {
        using var temporary = new TemporaryFolder();
        var path = temporary.File("metrics.jsonl");
        using (var log = new JsonLines(path))
        {
            Append(log, 10, 1);
            Append(log, 20, 2);
        }
        File.AppendAllText(path, rest);

        Assert.Equal(whole, JsonLines.Read(path).Count);
        using (var log = new JsonLines(path))
        {
            log.MarkResume(20);
            Append(log, 30, 3);
        }
        Assert.Equal([(10, 1.0), (20, 2.0), (30, 3.0)], Values(path));
    }

    [Fact]
    public void An_altered_line_in_the_middle_is_an_error_with_its_number()
    {
        using var temporary = new TemporaryFolder();
        var path = temporary.File("metrics.jsonl");
        File.WriteAllText(path, "{\"step\":1}\n{\"step\":\n{\"step\":3}\n");

        Assert.Contains($"{path}: line 2", Assert.Throws<TiltException>(() => JsonLines.Read(path)).Message);
    }

    [Fact]
    public void A_log_that_is_not_there_is_empty()
    {
        Assert.Empty(JsonLines.Read("/nowhere/metrics.jsonl"));
    }

    [Fact]
    public void A_log_can_be_read_while_it_is_written()
    {
        using var temporary = new TemporaryFolder();
        using var log = new JsonLines(temporary.File("log"));
        Append(log, 1, 5);

        Assert.Equal([(1, 5.0)], Values(temporary.File("log")));
    }

    private static void Append(JsonLines log, long step, double loss) =>
        log.Append(step, [new KeyValuePair<string, JsonNode?>("loss", loss)]);

    private static IEnumerable<(long, double)> Values(string path) =>
        JsonLines.Read(path).Select(line => (line.Step, line.Number("loss")!.Value));
}
