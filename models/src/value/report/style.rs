//! How a page looks.

/// Blue and orange are told apart in every common kind of colour blindness, and each has 4.5:1 or
/// more against its ground.
pub const STYLE: &str = "
:root{color-scheme:light dark;--ground:#fff;--card:#f6f7f9;--ink:#1c2330;--soft:#596273;--line:#d5dae2;
--predicted:#1d5fd1;--actual:#b4530a}
@media(prefers-color-scheme:dark){:root{--ground:#12161d;--card:#1a2029;--ink:#e7ebf2;--soft:#a0abbd;
--line:#323c4b;--predicted:#6ea8ff;--actual:#ffa04d}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;margin:0 0 4px;overflow-wrap:anywhere}h2{font-size:18px;margin:34px 0 6px}
p{margin:4px 0 12px}.soft{color:var(--soft)}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px;overflow-x:auto}
svg{display:block;width:100%;min-width:600px;height:auto}
.tick{font-size:12px;fill:var(--ink)}.faint{fill:var(--soft);font-size:11px}
.label{font-size:13px;fill:var(--soft)}
.axis{stroke:var(--ink)}.grid{stroke:var(--line)}
.predicted{fill:var(--predicted)}.actual{fill:var(--actual)}
.line{fill:none;stroke-width:2.2}.line.predicted{stroke:var(--predicted)}
.line.actual{stroke:var(--actual);stroke-dasharray:6 4}
.key{display:flex;gap:18px;margin:0 0 8px;font-size:13px}
.key i{display:inline-block;width:14px;height:10px;margin-right:6px;border-radius:2px}
.key .p{background:var(--predicted)}.key .a{background:var(--actual)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 8px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}th:last-child,td:last-child{padding-right:0}
th{font-weight:600;color:var(--soft)}tr.model td{font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 16px;margin:0}
dt{color:var(--soft)}dd{margin:0}
@media(max-width:600px){main{padding:18px 12px 40px}dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 8px}}
@media print{body{background:#fff;color:#000}figure{break-inside:avoid}.scroll{overflow:visible}}
";
