namespace Tilt.Model;

/// <summary>When the last steps of a multistep solver fall back to lower orders, which steadies short runs.</summary>
public enum LowerOrderFinal
{
    /// <summary>Never (the CEP authors' copy has no such option).</summary>
    Off,

    /// <summary>Below 10 evaluations, as upstream's code does.</summary>
    BelowTen,

    /// <summary>Below 15 evaluations, as upstream's documentation says.</summary>
    BelowFifteen,
}
