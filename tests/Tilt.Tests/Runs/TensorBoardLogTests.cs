using Tensorboard;
using Tilt.Runs;

namespace Tilt.Tests.Runs;

public class TensorBoardLogTests
{
    [Fact]
    public void Records_have_the_published_framing_and_hold_the_values()
    {
        using var temporary = new TemporaryFolder();
        string path;
        using (var log = new TensorBoardLog(temporary.Path, resumedAt: 40))
        {
            path = log.Path;
            log.Append(50, [new("first/loss", 0.5), new("first/rate", 2)]);
        }

        Assert.StartsWith("events.out.tfevents.", Path.GetFileName(path));
        var events = Read(File.ReadAllBytes(path));
        Assert.Equal("brain.Event:2", events[0].FileVersion);
        // TensorBoard drops what an earlier file says of this step and later ones.
        Assert.Equal((SessionLog.Types.SessionStatus.Start, 41L), (events[1].SessionLog.Status, events[1].Step));
        Assert.Equal(50, events[2].Step);
        Assert.Equal(
            [("first/loss", 0.5f), ("first/rate", 2f)],
            events[2].Summary.Value.Select(value => (value.Tag, value.SimpleValue))
        );
        Assert.InRange(events[2].WallTime, 1.7e9, 1e10);
    }

    [Fact]
    public void The_checksum_is_Castagnoli_s()
    {
        Assert.Equal(0xE3069283u, Crc32C("123456789"u8)); // the check value that catalogues of CRCs give
    }

    private static List<Event> Read(byte[] file)
    {
        var events = new List<Event>();
        for (var at = 0; at < file.Length; )
        {
            var length = (int)BitConverter.ToUInt64(file, at);
            Assert.Equal(Masked(file.AsSpan(at, 8)), BitConverter.ToUInt32(file, at + 8));
            var body = file.AsSpan(at + 12, length);
            Assert.Equal(Masked(body), BitConverter.ToUInt32(file, at + 12 + length));
            events.Add(Event.Parser.ParseFrom(body.ToArray()));
            at += 16 + length;
        }
        return events;
    }

    private static uint Masked(ReadOnlySpan<byte> bytes)
    {
        var crc = Crc32C(bytes);
        return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
    }

    private static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0x82F63B78u;
            }
        }
        return ~crc;
    }
}
