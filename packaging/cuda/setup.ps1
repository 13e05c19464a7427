# Checks the slices of CLIP Atelier's edition for NVIDIA cards, joins them and installs for this user:
#   powershell -ExecutionPolicy Bypass -File @NAME@-setup.ps1 [-Prefix DIR]
# All slices, @NAME@.slices and this script must lie in one folder. Nothing is unpacked before every slice is right.
param([string]$Prefix = "$env:LOCALAPPDATA\Programs\CLIP Atelier CUDA")
$ErrorActionPreference = 'Stop'
$name = '@NAME@'
$korean = (Get-UICulture).TwoLetterISOLanguageName -eq 'ko'
function Say($english, $korean_text) { if ($korean) { Write-Host $korean_text } else { Write-Host $english } }

$list = Join-Path $PSScriptRoot "$name.slices"
if (-not (Test-Path -LiteralPath $list)) {
    Say "The list $name.slices is missing; it belongs beside this script." "$name.slices 목록이 없습니다. 이 스크립트와 같은 폴더에 두세요."
    exit 1
}
$slices = @(Get-Content -LiteralPath $list | Where-Object { $_ } | ForEach-Object {
    $digest, $size, $file = $_ -split '\s+', 3
    [pscustomobject]@{ Digest = $digest; Size = [long]$size; Name = $file; Path = Join-Path $PSScriptRoot $file }
})
$bad = $false
$number = 0
foreach ($slice in $slices) {
    $number++
    $which = "$number / $($slices.Count)"
    if (-not (Test-Path -LiteralPath $slice.Path)) {
        Say "Slice $which is missing: $($slice.Name)" "조각 $which 이(가) 없습니다: $($slice.Name)"; $bad = $true
    } elseif ((Get-Item -LiteralPath $slice.Path).Length -ne $slice.Size) {
        Say "Slice $which is not complete: $($slice.Name)" "조각 $which 이(가) 다 받아지지 않았습니다: $($slice.Name)"; $bad = $true
    } elseif ((Get-FileHash -LiteralPath $slice.Path -Algorithm SHA256).Hash -ne $slice.Digest) {
        Say "Slice $which is damaged: $($slice.Name)" "조각 $which 이(가) 손상되었습니다: $($slice.Name)"; $bad = $true
    }
}
if ($bad) {
    Say 'Download what is named above again, then run this once more.' '위의 조각을 다시 받은 뒤 다시 실행하세요.'
    exit 1
}
$joined = Join-Path ([IO.Path]::GetTempPath()) "$name.tar.gz"
$fresh = "$Prefix.new"
try {
    $out = [IO.File]::Create($joined)
    try {
        foreach ($slice in $slices) {
            $in = [IO.File]::OpenRead($slice.Path)
            try { $in.CopyTo($out) } finally { $in.Dispose() }
        }
    } finally { $out.Dispose() }
    if (Test-Path -LiteralPath $fresh) { Remove-Item -LiteralPath $fresh -Recurse -Force }
    New-Item -ItemType Directory -Path $fresh -Force | Out-Null
    # Windows 10 and newer bring tar.
    & "$env:SystemRoot\System32\tar.exe" -xzf $joined -C $fresh
    if ($LASTEXITCODE -ne 0) { throw 'tar failed' }
    if (Test-Path -LiteralPath $Prefix) { Remove-Item -LiteralPath $Prefix -Recurse -Force }
    Move-Item -LiteralPath (Join-Path $fresh 'clip-atelier') -Destination $Prefix
} finally {
    Remove-Item -LiteralPath $joined, $fresh -Recurse -Force -ErrorAction SilentlyContinue
}
$shortcut = (New-Object -ComObject WScript.Shell).CreateShortcut("$env:APPDATA\Microsoft\Windows\Start Menu\Programs\CLIP Atelier CUDA.lnk")
$shortcut.TargetPath = Join-Path $Prefix 'CLIP Atelier.exe'
$shortcut.Save()
Say "CLIP Atelier is installed in $Prefix" "CLIP Atelier를 $Prefix 에 설치했습니다"
