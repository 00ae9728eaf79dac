//! How the page looks. Outcomes are told apart by lightness as well as by hue (Okabe and Ito's colours), so that nobody
//! needs to see red and green.

pub const CSS: &str = r#"
:root{--bg:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#5c6878;--line:#dfe4ea;--grid:#eceff3;
--done:#2f77b5;--refused:#a9c4dc;--unavailable:#e69f00;--unknown:#8d4a86;--wrong:#d1350f;
--p50:#2f77b5;--p99:#c2571a;--fault:#5b6472;--fault-ink:#fff;--tint:#5b6472;--phase:#eef1f5;
--node0:#0b7a5c;--node1:#4b52b8;--node2:#876200;--node3:#a8327d;--node4:#4a6572;--node5:#8a4b2a;--node6:#557312;--node7:#00748c;
--held:#0b7a5c;--failed:#b26a00;--violated:#c22f10;--not-run:#5b6472}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--ink:#e6eaf0;--soft:#98a4b3;--line:#2c3542;--grid:#242c37;
--done:#5aa5e0;--refused:#4f7396;--unavailable:#f0b93a;--unknown:#d38ccb;--wrong:#ff6b45;
--p50:#5aa5e0;--p99:#ff9a5c;--fault:#8b97a8;--fault-ink:#12161c;--tint:#aab6c6;--phase:#242c37;
--node0:#3fc79d;--node1:#9aa2ff;--node2:#e0bd3a;--node3:#f08ac6;--node4:#9fb4c0;--node5:#dd9c74;--node6:#a9cc5c;--node7:#4cc4dd;
--held:#2fae86;--failed:#d99413;--violated:#ff7a58;--not-run:#6f7b8a}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-font-smoothing:antialiased}
main{max-width:1160px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:24px;line-height:1.25;margin:2px 0 0;font-weight:650;overflow-wrap:anywhere}
h2{font-size:15px;margin:0 0 12px;font-weight:650}
.verdict{display:flex;gap:18px;align-items:center;padding:20px 22px;border-radius:12px;color:#fff;background:var(--tone)}
.verdict.held{--tone:#0b7a5c}.verdict.failed{--tone:#a86200}.verdict.violated{--tone:#bf3013}.verdict.not-run{--tone:#566070}
.verdict p{margin:0}.verdict .word{font-size:13px;font-weight:700;letter-spacing:.07em;text-transform:uppercase;opacity:.92}
.verdict .meaning{opacity:.94;margin-top:3px;overflow-wrap:anywhere}
.mark{flex:none;width:54px;height:54px;border-radius:50%;background:rgba(255,255,255,.2);display:grid;place-items:center}
.mark svg{width:32px;height:32px}
.meta{color:var(--soft);font-size:13px;margin:12px 2px 18px;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px;margin-bottom:16px}
.tile,section{background:var(--card);border:1px solid var(--line);border-radius:12px}
.tile{padding:12px 16px;display:flex;flex-direction:column}
.tile .label,.tile .small{color:var(--soft);font-size:13px}
.tile .value{font-size:24px;font-weight:650;line-height:1.3;font-variant-numeric:tabular-nums}
.tile.bad{border-color:var(--violated)}.tile.bad .value{color:var(--violated)}
section{padding:18px 20px;margin-bottom:16px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{color:var(--soft);font-weight:550;text-align:left;font-size:13px;white-space:nowrap}
th,td{padding:7px 14px 7px 0;border-bottom:1px solid var(--line);vertical-align:top}
td{overflow-wrap:anywhere}tr:last-child td{border-bottom:0}
.wide{min-width:11ch}.words{min-width:20ch}.whole{white-space:nowrap;overflow-wrap:normal}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}
.ok,.no,.off{white-space:nowrap;overflow-wrap:normal;font-weight:600}.ok{color:var(--held)}.no{color:var(--violated)}.off{color:var(--soft)}
code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
pre{margin:0;padding:12px 14px;background:var(--bg);border-radius:8px;white-space:pre-wrap;overflow-wrap:anywhere}
ul{margin:0;padding-left:20px}.none{color:var(--soft);margin:0}
.legend{display:flex;flex-wrap:wrap;gap:6px 18px;font-size:13px;color:var(--soft);margin-bottom:10px}
.legend span{display:inline-flex;align-items:center;gap:6px}
.legend i{width:12px;height:12px;border-radius:3px;display:inline-block}
.legend i.l{height:0;border-top:2.5px solid;border-radius:0;width:18px;background:none!important}
svg.time{display:block;width:100%;min-width:720px;height:auto;font:11.5px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
svg.time text{fill:var(--soft)}svg.time .lane{fill:var(--ink);font-weight:600}
svg.time .grid{stroke:var(--grid)}svg.time .base{stroke:var(--line)}
.done{fill:var(--done);background:var(--done)}.refused{fill:var(--refused);background:var(--refused)}
.unavailable{fill:var(--unavailable);background:var(--unavailable)}.unknown{fill:var(--unknown);background:var(--unknown)}
.wrong{fill:var(--wrong);background:var(--wrong)}
.p50,.p99{fill:none;stroke-width:1.7;stroke-linejoin:round;stroke-linecap:round}.p50{stroke:var(--p50)}.p99{stroke:var(--p99)}
.legend i.p50{border-color:var(--p50)}.legend i.p99{border-color:var(--p99)}
.hover{fill:transparent}.hover:hover{fill:var(--tint);fill-opacity:.14}
.tint{fill:var(--tint);fill-opacity:.1}
.bar{fill:var(--fault)}.bar.left{fill:var(--wrong)}
svg.time .in{fill:var(--fault-ink)}svg.time .out{fill:var(--ink)}
.node0{fill:var(--node0);background:var(--node0);stroke:var(--node0)}.node1{fill:var(--node1);background:var(--node1);stroke:var(--node1)}
.node2{fill:var(--node2);background:var(--node2);stroke:var(--node2)}.node3{fill:var(--node3);background:var(--node3);stroke:var(--node3)}
.node4{fill:var(--node4);background:var(--node4);stroke:var(--node4)}.node5{fill:var(--node5);background:var(--node5);stroke:var(--node5)}
.node6{fill:var(--node6);background:var(--node6);stroke:var(--node6)}.node7{fill:var(--node7);background:var(--node7);stroke:var(--node7)}
rect[class^=node]{stroke:none}.tick{stroke-width:2;stroke-linecap:round}svg.time .on{fill:var(--fault-ink)}
.legend .of{margin-left:10px}
.phase{fill:var(--phase);stroke:var(--line)}
.broken line,.broken path{fill:none;stroke:var(--violated)}.broken line{stroke-dasharray:3 3}.broken path{stroke-width:2.2}
svg.time .broken text{fill:var(--violated);font-weight:650}.legend i.broken{border-color:var(--violated);border-top-style:dashed}
.promise p{margin:0 0 8px;max-width:80ch;overflow-wrap:anywhere}.promise p:last-child{margin:0}
.sum{margin:8px 0 0;color:var(--soft);font-size:13px;overflow-wrap:anywhere}
@media print{body{background:#fff}section,.tile{break-inside:avoid}}
"#;
