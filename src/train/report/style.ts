import { heatRules, heatStyle } from "./confusion.ts";

const light = `color-scheme:light;--page:#fff;--card:#f6f7f9;--text:#16191d;--soft:#59626d;--line:#dfe3e8;
--s0:#0b62b5;--s1:#c9590b;--s2:#1b7f5c;--s3:#8d3fa0;--good:#1b7f5c;--bad:#b3261e;${heatStyle("light")}`;
const dark = `color-scheme:dark;--page:#14171b;--card:#1d2127;--text:#e7eaee;--soft:#9aa4b0;--line:#333a43;
--s0:#6db3f8;--s1:#f5a35c;--s2:#5fcfa3;--s3:#d79be6;--good:#5fcfa3;--bad:#ff8a80;${heatStyle("dark")}`;

/** The style sheet of a report: light, dark and print; series differ in lightness and dash as well as in hue. */
export const style = `:root{${light}}
@media (prefers-color-scheme:dark){:root{${dark}}}
@media print{:root{${light}}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.55 system-ui,"Segoe UI",Roboto,"Noto Sans","Noto Sans CJK JP",sans-serif;
-webkit-text-size-adjust:100%}
main,header,footer{max-width:1080px;margin:0 auto;padding:0 20px}
header{padding-top:36px}
h1{font-size:30px;line-height:1.2;margin:6px 0 10px;overflow-wrap:anywhere}
h2{font-size:21px;margin:44px 0 12px;padding-bottom:6px;border-bottom:1px solid var(--line)}
h3{font-size:15px;margin:0 0 6px}
h3 small{font-weight:400;color:var(--soft)}
p{margin:0 0 12px;max-width:75ch}
.meta{display:flex;flex-wrap:wrap;gap:4px 14px;align-items:center;color:var(--soft);font-size:14px}
.status{border:1px solid currentColor;border-radius:99px;padding:0 10px;font-weight:600;color:var(--soft)}
.status.done{color:var(--good)}
.status.failed,.error{color:var(--bad)}
pre{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px;overflow-x:auto;margin:14px 0}
code,pre{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:13px}
nav{display:flex;flex-wrap:wrap;gap:6px 16px;margin:18px 0 0;font-size:14px}
a{color:var(--s0)}
:focus-visible{outline:2px solid var(--s0);outline-offset:2px;border-radius:2px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:20px 0 0}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.tiles dt{font-size:13px;color:var(--soft)}
.tiles dd{margin:2px 0 0;font-size:25px;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}
.tiles dd small{display:block;font-size:13px;font-weight:400;color:var(--soft)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:20px}
.chart{margin:0;background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px 12px;min-width:0}
.chart svg{display:block;width:100%;height:auto}
.chart text{font-size:12px;fill:var(--soft);font-variant-numeric:tabular-nums}
.chart .tick line{stroke:var(--line);stroke-width:1}
.chart figcaption{display:flex;flex-wrap:wrap;gap:2px 18px;font-size:13.5px;color:var(--soft);margin-top:6px}
.chart figcaption b{color:var(--text);font-variant-numeric:tabular-nums}
.series path{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.series path.faint{stroke-width:1;opacity:.28}
.series circle{fill:currentColor}
.s0{color:var(--s0)}.s1{color:var(--s1)}.s2{color:var(--s2)}.s3{color:var(--s3)}
.series.s1 path{stroke-dasharray:7 4}
.series.s2 path{stroke-dasharray:2 5}
.series.s3 path{stroke-dasharray:9 3 2 3}
.swatch{display:inline-block;width:18px;border-top:3px solid currentColor;vertical-align:middle;margin-right:6px}
.swatch.s1{border-top-style:dashed}
.swatch.s2{border-top-style:dotted}
.swatch.s3{border-top-style:double}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 14px 5px 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
tbody th,tfoot th{font-weight:400}
thead th{color:var(--soft);font-weight:600;font-size:13px}
tfoot th,tfoot td{font-weight:650;border-bottom:0}
.number{text-align:right;white-space:nowrap}
td code{white-space:nowrap}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:28px}
.columns td{overflow-wrap:anywhere}
.columns th{color:var(--soft);white-space:nowrap}
.confusion{border-collapse:separate;border-spacing:2px;margin:0 0 8px}
.confusion :is(th,td){border:0;padding:0;font-size:13px;font-weight:400}
.confusion th{color:var(--soft)}
.confusion tbody td{width:46px;min-width:31px;height:34px;text-align:center;vertical-align:middle;border-radius:4px}
.confusion .none{background:var(--card)}
.confusion tbody th{padding-right:8px;text-align:right;vertical-align:middle;white-space:nowrap}
.confusion thead th{text-align:center;vertical-align:bottom;padding-bottom:4px}
.confusion.upright thead span{writing-mode:vertical-rl;transform:rotate(180deg);white-space:nowrap;display:inline-block}
.confusion .right{font-weight:650}
.scale{white-space:nowrap;font-size:14px;color:var(--soft)}
.scale i{display:inline-block;width:16px;height:12px;vertical-align:-1px}
.heat text{fill:var(--soft)}
.heat .frame{fill:var(--card);stroke:var(--line)}
.gallery{list-style:none;padding:0;margin:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(104px,1fr));gap:14px}
.gallery.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,240px),1fr))}
.gallery li{font-size:13px;line-height:1.35;color:var(--soft);overflow-wrap:anywhere}
.gallery b{color:var(--text)}
.gallery img{display:block;width:100%;height:auto;border-radius:6px;border:1px solid var(--line);margin-bottom:5px}
.gallery .pixels{image-rendering:pixelated}
.input{display:flex;flex-wrap:wrap;gap:12px 28px;align-items:flex-start;margin-bottom:20px}
.input img{max-width:min(100%,260px);height:auto;border-radius:6px;border:1px solid var(--line)}
.asked{font-size:18px;margin:30px 0 10px}
.words{line-height:1.9}
.bar{display:flex;gap:6px;align-items:center;font-size:12px}
.bar i{flex:1;height:9px;border-radius:2px;border:1px solid var(--line)}
.gallery.wide+.scroll{margin:18px 0}
summary{cursor:pointer;margin-bottom:8px}
footer{margin-top:48px;padding-bottom:36px;color:var(--soft);font-size:13px}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
${heatRules}
@media (max-width:560px){.chart text{font-size:15px}main,header,footer{padding:0 14px}header{padding-top:20px}h1{font-size:24px}
.tiles{grid-template-columns:1fr 1fr}.tiles dd{font-size:21px}th,td{padding-right:9px;font-size:13px}.confusion tbody td{height:28px;min-width:26px}.confusion :is(th,td){font-size:11.5px}
.confusion{border-spacing:1px}.gallery{grid-template-columns:repeat(auto-fill,minmax(84px,1fr))}}
@media print{body{font-size:11pt}nav{display:none}main,header,footer{max-width:none;padding:0}.scroll{overflow:visible}
.chart,.tiles div,.gallery li,tr{break-inside:avoid}h2,h3{break-after:avoid}
.charts{grid-template-columns:1fr 1fr}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
`;
