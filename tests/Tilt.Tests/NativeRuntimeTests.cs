namespace Tilt.Tests;

public class NativeRuntimeTests
{
    [Fact]
    public void Garbage_is_not_collected_in_the_background_where_a_native_call_would_lose_its_numbers()
    {
        var before = GC.CollectionCount(2);
        // Arrays of megabytes belong to the oldest generation at once, the one that is otherwise collected in the background.
        for (var i = 0; i < 200; i++)
        {
            GC.KeepAlive(GC.AllocateUninitializedArray<float>(1 << 20));
        }

        Assert.True(GC.CollectionCount(2) > before, "the oldest generation was not collected at all");
        Assert.Equal(0, GC.GetGCMemoryInfo(GCKind.Background).Index);
    }
}
