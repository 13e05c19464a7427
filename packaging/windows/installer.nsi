; The Windows installer, in English and Korean. Built by installer/windows.py, which gives:
;   VERSION, SOURCE (the frozen program's folder), OUTFILE, ICON, ROOT (the repository), and TARGET where the compiler has it.
; It installs for one user without asking for an administrator, or silently: SETUP.exe /S [/D=C:\a folder]
; ($INSTDIR from /D stands last and without quotes.)

Unicode true
!ifdef TARGET
  Target ${TARGET}
!endif
!include MUI2.nsh
!include FileFunc.nsh
!include x64.nsh
!include WinVer.nsh

!define NAME "CLIP Atelier"
!define PROGRAM "CLIP Atelier.exe"
!define COMMAND "clip-atelier.exe"
!define UNINSTALL "Software\Microsoft\Windows\CurrentVersion\Uninstall\ClipAtelier"

; A file type of ours: its ending, its name in the registry, its name for people.
!macro FILE_TYPE ENDING TYPE TITLE
  WriteRegStr HKCU "Software\Classes\${ENDING}" "" "${TYPE}"
  WriteRegStr HKCU "Software\Classes\${TYPE}" "" "${TITLE}"
  WriteRegStr HKCU "Software\Classes\${TYPE}\DefaultIcon" "" "$INSTDIR\${PROGRAM},0"
  WriteRegStr HKCU "Software\Classes\${TYPE}\shell\open\command" "" '"$INSTDIR\${PROGRAM}" "%1"'
!macroend
!macro NO_FILE_TYPE ENDING TYPE
  DeleteRegKey HKCU "Software\Classes\${TYPE}"
  DeleteRegKey HKCU "Software\Classes\${ENDING}"
!macroend

Name "${NAME} ${VERSION}"
OutFile "${OUTFILE}"
InstallDir "$LOCALAPPDATA\Programs\${NAME}"
InstallDirRegKey HKCU "Software\${NAME}" "Folder"
RequestExecutionLevel user
SetCompressor /SOLID lzma
ManifestDPIAware true
ManifestSupportedOS Win10
BrandingText "${NAME} ${VERSION}"
VIProductVersion "${VERSION}.0"
VIAddVersionKey /LANG=0 "ProductName" "${NAME}"
VIAddVersionKey /LANG=0 "ProductVersion" "${VERSION}"
VIAddVersionKey /LANG=0 "FileVersion" "${VERSION}"
VIAddVersionKey /LANG=0 "FileDescription" "${NAME} setup"
VIAddVersionKey /LANG=0 "LegalCopyright" "The CLIP Atelier authors, Apache License 2.0"

!ifdef ICON
  !define MUI_ICON "${ICON}"
  !define MUI_UNICON "${ICON}"
!endif
!define MUI_ABORTWARNING
!define MUI_FINISHPAGE_RUN "$INSTDIR\${PROGRAM}"
!define MUI_LANGDLL_REGISTRY_ROOT HKCU
!define MUI_LANGDLL_REGISTRY_KEY "Software\${NAME}"
!define MUI_LANGDLL_REGISTRY_VALUENAME "Language"

!insertmacro MUI_PAGE_WELCOME
!insertmacro MUI_PAGE_LICENSE "${ROOT}/LICENSE"
!insertmacro MUI_PAGE_DIRECTORY
!insertmacro MUI_PAGE_INSTFILES
!insertmacro MUI_PAGE_FINISH
!insertmacro MUI_UNPAGE_CONFIRM
!insertmacro MUI_UNPAGE_INSTFILES
!insertmacro MUI_LANGUAGE "English"
!insertmacro MUI_LANGUAGE "Korean"

LangString NEEDS_64 ${LANG_ENGLISH} "${NAME} needs 64-bit Windows 10 or newer."
LangString NEEDS_64 ${LANG_KOREAN} "${NAME}에는 64비트 Windows 10 이상이 필요합니다."
LangString IN_USE ${LANG_ENGLISH} "${NAME} is running. Close it and try again."
LangString IN_USE ${LANG_KOREAN} "${NAME}가 실행 중입니다. 닫고 다시 시도해 주세요."
LangString NOT_OURS ${LANG_ENGLISH} "The folder $INSTDIR holds other files. Choose an empty folder."
LangString NOT_OURS ${LANG_KOREAN} "$INSTDIR 폴더에 다른 파일이 있습니다. 빈 폴더를 골라 주세요."
LangString PACK_TYPE ${LANG_ENGLISH} "CLIP Atelier model pack"
LangString PACK_TYPE ${LANG_KOREAN} "CLIP Atelier 모델 꾸러미"
LangString RUN_TYPE ${LANG_ENGLISH} "CLIP Atelier run"
LangString RUN_TYPE ${LANG_KOREAN} "CLIP Atelier 실행 기록"
LangString OPEN_FOLDER ${LANG_ENGLISH} "Open in ${NAME}"
LangString OPEN_FOLDER ${LANG_KOREAN} "${NAME}에서 열기"
LangString KEPT ${LANG_ENGLISH} "Your runs and models were kept in $LOCALAPPDATA\${NAME}"
LangString KEPT ${LANG_KOREAN} "실행 기록과 모델은 다음 폴더에 그대로 두었습니다: $LOCALAPPDATA\${NAME}"

Function .onInit
  !insertmacro MUI_LANGDLL_DISPLAY
  ; Not RunningX64: that asks whether this process is a 32-bit one on a 64-bit system.
  ${IfNot} ${IsNativeAMD64}
  ${AndIfNot} ${IsNativeARM64}
    MessageBox MB_ICONSTOP "$(NEEDS_64)" /SD IDOK
    SetErrorLevel 2
    Abort
  ${EndIf}
  ${IfNot} ${AtLeastWin10}
    MessageBox MB_ICONSTOP "$(NEEDS_64)" /SD IDOK
    SetErrorLevel 2
    Abort
  ${EndIf}
FunctionEnd

; Ends the installation while the program runs: its files could only be replaced by halves.
!macro MUST_NOT_RUN UN
Function ${UN}MustNotRun
  IfFileExists "$INSTDIR\${PROGRAM}" 0 done
  ClearErrors
  FileOpen $0 "$INSTDIR\${PROGRAM}" a
  IfErrors 0 free
  MessageBox MB_ICONSTOP "$(IN_USE)" /SD IDOK
  SetErrorLevel 3
  Quit
free:
  FileClose $0
done:
FunctionEnd
!macroend
!insertmacro MUST_NOT_RUN ""
!insertmacro MUST_NOT_RUN "un."

Section "-program"
  Call MustNotRun
  ; A folder with somebody's files must not become ours, because uninstalling removes what is ours.
  IfFileExists "$INSTDIR\*.*" 0 empty
  IfFileExists "$INSTDIR\uninstall.exe" empty 0
  ${DirState} "$INSTDIR" $0
  IntCmp $0 0 empty
  MessageBox MB_ICONSTOP "$(NOT_OURS)" /SD IDOK
  SetErrorLevel 4
  Abort
empty:
  RMDir /r "$INSTDIR\program"
  SetOutPath "$INSTDIR"
  File /r "${SOURCE}/*"
  WriteUninstaller "$INSTDIR\uninstall.exe"
  WriteRegStr HKCU "Software\${NAME}" "Folder" "$INSTDIR"

  CreateShortCut "$SMPROGRAMS\${NAME}.lnk" "$INSTDIR\${PROGRAM}"

  !insertmacro FILE_TYPE ".clipmodel" "ClipAtelier.ModelPack" "$(PACK_TYPE)"
  !insertmacro FILE_TYPE ".cliprun" "ClipAtelier.RunPack" "$(RUN_TYPE)"
  WriteRegStr HKCU "Software\Classes\Directory\shell\ClipAtelier" "" "$(OPEN_FOLDER)"
  WriteRegStr HKCU "Software\Classes\Directory\shell\ClipAtelier" "Icon" "$INSTDIR\${PROGRAM},0"
  WriteRegStr HKCU "Software\Classes\Directory\shell\ClipAtelier\command" "" '"$INSTDIR\${PROGRAM}" "%1"'

  ${GetSize} "$INSTDIR" "/S=0K" $0 $1 $2
  IntFmt $0 "0x%08X" $0
  WriteRegStr HKCU "${UNINSTALL}" "DisplayName" "${NAME}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayVersion" "${VERSION}"
  WriteRegStr HKCU "${UNINSTALL}" "DisplayIcon" "$INSTDIR\${PROGRAM},0"
  WriteRegStr HKCU "${UNINSTALL}" "Publisher" "The CLIP Atelier authors"
  WriteRegStr HKCU "${UNINSTALL}" "InstallLocation" "$INSTDIR"
  WriteRegStr HKCU "${UNINSTALL}" "UninstallString" '"$INSTDIR\uninstall.exe"'
  WriteRegStr HKCU "${UNINSTALL}" "QuietUninstallString" '"$INSTDIR\uninstall.exe" /S'
  WriteRegDWORD HKCU "${UNINSTALL}" "EstimatedSize" "$0"
  WriteRegDWORD HKCU "${UNINSTALL}" "NoModify" 1
  WriteRegDWORD HKCU "${UNINSTALL}" "NoRepair" 1
  System::Call 'shell32::SHChangeNotify(i 0x08000000, i 0, p 0, p 0)'
SectionEnd

Function un.onInit
  !insertmacro MUI_UNGETLANGUAGE
FunctionEnd

Section "Uninstall"
  Call un.MustNotRun
  ; Only what was installed. The user's work is elsewhere and stays.
  RMDir /r "$INSTDIR\program"
  Delete "$INSTDIR\${PROGRAM}"
  Delete "$INSTDIR\${COMMAND}"
  Delete "$INSTDIR\uninstall.exe"
  RMDir "$INSTDIR"
  Delete "$SMPROGRAMS\${NAME}.lnk"
  !insertmacro NO_FILE_TYPE ".clipmodel" "ClipAtelier.ModelPack"
  !insertmacro NO_FILE_TYPE ".cliprun" "ClipAtelier.RunPack"
  DeleteRegKey HKCU "Software\Classes\Directory\shell\ClipAtelier"
  DeleteRegKey HKCU "${UNINSTALL}"
  DeleteRegKey HKCU "Software\${NAME}"
  System::Call 'shell32::SHChangeNotify(i 0x08000000, i 0, p 0, p 0)'
  DetailPrint "$(KEPT)"
  IfSilent +2
  MessageBox MB_ICONINFORMATION "$(KEPT)"
SectionEnd
